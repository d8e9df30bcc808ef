"""What is looked at every few seconds: memory and files by program, the read side's lag, the queue, connections."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from celeryconfig import QUEUES
from core.projection.status import status
from core.read_models.wiring import PROJECTORS

CONNECTIONS = text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
SHARES_A_CACHE = "postgres"
SHARED = ("/dev/zero", "/dev/shm", "/SYSV")  # noqa: S108 - what Linux calls shared memory
MEGABYTE = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`at` in seconds since the start; memory in MB; both mappings are by program."""

    at: float
    memory: Mapping[str, float]
    files: Mapping[str, int]
    events_behind: int
    seconds_behind: float
    queued: int
    connections: int


class Sampler:
    """`processes` are the top ones, by the name of their program."""

    def __init__(self, processes: Mapping[str, int], sessions: sessionmaker[Session], redis: Redis) -> None:
        self._processes = processes
        self._sessions = sessions
        self._redis = redis
        self._started = time.monotonic()

    def take(self) -> Sample:
        parts = {part: _alive(tree) for part, tree in self._parts()}
        with self._sessions.begin() as session:
            behind = status(session, PROJECTORS).projectors.values()
            connections = session.execute(CONNECTIONS).scalar_one()
        return Sample(
            at=time.monotonic() - self._started,
            memory={part: sum(_megabytes(part, process) for process in tree) for part, tree in parts.items()},
            files={part: sum(_open_files(process) for process in tree) for part, tree in parts.items()},
            events_behind=max(each.events_behind for each in behind),
            seconds_behind=max(each.seconds_behind for each in behind),
            queued=sum(int(self._redis.llen(queue)) for queue in QUEUES),
            connections=connections,
        )

    def _parts(self) -> list[tuple[str, list[psutil.Process]]]:
        """Each program with its children; the worker's main process and its pool apart. Raises psutil.NoSuchProcess."""
        parts = []
        for name, process_id in self._processes.items():
            top = psutil.Process(process_id)
            children = top.children(recursive=True)
            parts += [(f"{name} main", [top]), (f"{name} pool", children)] if name == "worker" else []
            parts += [] if name == "worker" else [(name, [top, *children])]
        return parts


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running()]


def _megabytes(part: str, process: psutil.Process) -> float:
    """Pages that several share count in parts, but PostgreSQL's without those of its cache, whose size is a setting."""
    with suppress(psutil.NoSuchProcess):
        found: int = _own(process) if part == SHARES_A_CACHE else process.memory_full_info().pss
        return found / MEGABYTE
    return 0.0


def _own(process: psutil.Process) -> int:
    """Bytes; a page of the cache would be its own as long as no other process has looked at it."""
    own = [each for each in process.memory_maps() if not each.path.startswith(SHARED)]
    return sum(each.private_clean + each.private_dirty for each in own)


def _open_files(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.num_fds())
    return 0
