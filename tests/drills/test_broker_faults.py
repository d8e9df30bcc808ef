"""The broker dies, loses everything, goes silent, cuts connections, becomes slow."""

from pathlib import Path

from sqlalchemy.engine import make_url

from tests.drills.drill import SEED, Size, run
from tests.drills.faults import Faults
from tests.drills.proxy import Proxy
from tests.drills.servers import Servers
from tests.drills.stack import Stack

EVENTS = Size(short=600, full=8_000)
CRASHES = Size(short=2, full=10)
FLUSHES = Size(short=1, full=5)
NETWORK = Size(short=1, full=3)  # of each kind


def test_broker_faults(servers: Servers, logs: Path) -> None:
    with Proxy(servers.valkey.port) as proxy:
        redis_url = make_url(servers.valkey.url).set(port=proxy.port).render_as_string(hide_password=False)
        with Stack(logs, database_url=servers.fresh_database(), redis_url=redis_url) as stack:
            faults = Faults(stack, servers, SEED, proxy)
            plan = [faults.crash_valkey] * int(CRASHES) + [faults.flush_waiting_hints] * int(FLUSHES)
            plan += [faults.black_hole, faults.reset_connections, faults.slow_broker] * int(NETWORK)
            report = run("broker faults", stack, events=int(EVENTS), faults=faults.mixed(plan), counted=faults.count)

    assert faults.count.total() == len(plan)
    assert report.passed, report
