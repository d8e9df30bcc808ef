"""The broker dies, loses everything, goes silent, cuts connections, becomes slow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Faults
from tests.drills.fleet import SEED, Fleet
from tests.drills.proxy import Proxy

pytestmark = pytest.mark.long

FEW_EVENTS = 300
EVENTS = Size(short=600, full=8_000)
CRASHES = Size(short=2, full=10)
FLUSHES = Size(short=1, full=5)
NETWORK = Size(short=1, full=3)  # of each kind


NOTICED = 12.0  # seconds; a connection that is merely silent has to be waited for before it can be given up


@contextmanager
def stack_behind_proxy(servers: BreakableServers, logs: Path) -> Iterator[tuple[Fleet, Faults]]:
    with Proxy(servers.broker.port) as proxy:
        broker_url = servers.broker.url.replace(f":{servers.broker.port}/", f":{proxy.port}/")
        with Fleet(logs, database_url=servers.fresh_database(), broker_url=broker_url) as stack:
            yield stack, Faults(stack, servers, SEED, proxy)


def test_broker_faults(servers: BreakableServers, logs: Path) -> None:
    with stack_behind_proxy(servers, logs) as (stack, faults):
        plan = [faults.crash_broker] * int(CRASHES) + [faults.flush_waiting_hints] * int(FLUSHES)
        plan += [faults.black_hole, faults.reset_connections, faults.slow_broker] * int(NETWORK)
        report = run("broker faults", stack, events=int(EVENTS), faults=faults.mixed(plan), counted=faults.count)

    assert faults.count.total() == len(plan)
    assert report.passed, report


@pytest.mark.full  # test_broker_faults has the black hole, which is the same for a shorter time
def test_connections_silent_for_good(servers: BreakableServers, logs: Path) -> None:
    with stack_behind_proxy(servers, logs) as (stack, faults):
        plan = [faults.flush_waiting_hints, faults.strand_connections]
        report = run(
            "connections to the broker silent for good",
            stack,
            events=FEW_EVENTS,
            faults=plan,
            counted=faults.count,
            most_seconds=NOTICED,
        )

    assert report.passed, report
