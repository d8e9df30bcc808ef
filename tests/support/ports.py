"""Ports on loopback that no other process of these tests takes, and that the system gives to no client."""

import itertools
import socket
from functools import cache

from local.servers import free_port

BLOCKS = range(10_000, 32_000, 100)  # below the ports that Linux gives to clients


def own_port(preferred: int = 0) -> int:
    """Nothing listens there now, and only this process starts what will; the preferred port if that is free."""
    if preferred and free_port(preferred) == preferred:
        return preferred
    _, ports = _own_block()
    return next(port for port in ports if free_port(port) == port)


@cache
def _own_block() -> tuple[socket.socket, "itertools.cycle[int]"]:
    """A block of ports belongs to the process that holds its first port."""
    for first in BLOCKS:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", first))
        except OSError:
            held.close()
            continue
        return held, itertools.cycle(range(first + 1, first + BLOCKS.step))
    raise AssertionError("other tests hold every block of ports")
