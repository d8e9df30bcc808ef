"""`make soak`: everything as `make run` starts it, under half of the load that it can take; is it flat?"""

import argparse
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psycopg
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from benchmarks import http_load
from benchmarks.charts import curves
from benchmarks.machine import settings
from benchmarks.programs import whole_service
from benchmarks.queue_load import wait_until
from benchmarks.servers import ROOT, SERVED_AS_IN_PRODUCTION, Servers, bearer_of_new_key, running_servers
from benchmarks.soak.life import STEPS
from benchmarks.soak.samples import Sample, Sampler
from benchmarks.soak.verdict import Found, as_markdown
from celeryconfig import QUEUES
from core.database import session_factory
from core.event_sourcing.snapshots import wrong_snapshots
from core.event_sourcing.streams import IdRange
from core.projection.status import status
from core.projection.verify import verify, verify_sums
from core.read_models.wiring import PROJECTORS, SUMS
from local.servers import free_port

WARM_UP_LIVES, CAPACITY_LIVES = 50, 300
FEW_CLIENTS, CLIENTS = 8, 24  # few: as many as may wait for the read side at a time, even in one web process
MANY_CLIENTS = 48
BODY = {"customer_name": "山田太郎", "total_amount": 83000}
PAUSE = 0.5  # seconds between two requests of one life
SAMPLE_SECONDS, LEAST_SAMPLES = 5.0, 25


class Soak:
    """One soak of a service that is up."""

    def __init__(
        self, servers: Servers, url: str, port: int, sampler: Sampler, sessions: sessionmaker[Session]
    ) -> None:
        self._redis: Redis = servers.redis
        self._url = url
        self._port = port
        self._authorization = bearer_of_new_key(url)
        self._sampler = sampler
        self._sessions = sessions

    def capacity(self) -> float:
        """The same requests, as many per second as are answered and projected when they come as fast as they can."""
        self._open_connections()
        seconds = 0.0
        for lives in (WARM_UP_LIVES, CAPACITY_LIVES):
            with _load(self._port, self._authorization, lives, 1.0, 0.0, FEW_CLIENTS) as (load, output):
                result = _result(load, output)
            if result["errors"]:
                raise RuntimeError(f"The load has failed: {result['first_errors'][0]}")
            answered = time.monotonic()
            wait_until(self._all_is_projected)
            seconds = result["seconds"] + time.monotonic() - answered
        return CAPACITY_LIVES * STEPS / seconds

    def _open_connections(self) -> None:
        """To the database, as many as there may be; later ones would look as if memory grew."""
        next_request = http_load.requests_with_keys("/orders", BODY, {"Authorization": self._authorization})
        http_load.post(self._port, next_request, MANY_CLIENTS, seconds=3.0)

    def run(self, per_second: float, seconds: float) -> Found:
        pause = min(SAMPLE_SECONDS, seconds / LEAST_SAMPLES)
        with _load(self._port, self._authorization, per_second / STEPS, seconds, PAUSE, CLIENTS) as (load, output):
            samples = list(self._samples(load, pause))
            result = _result(load, output)
        wait_until(self._all_is_projected)
        lost = self._lost(result.pop("acknowledged"))
        return Found(samples=samples, load=result, differences=self._differences(), events_lost=lost)

    def _samples(self, load: "subprocess.Popen[str]", pause: float) -> Iterator[Sample]:
        """One at least after each pause, while the load runs."""
        while load.poll() is None:
            began = time.monotonic()
            yield self._sampler.take()
            time.sleep(max(0.0, began + pause - time.monotonic()))

    def _all_is_projected(self) -> bool:
        if any(self._redis.llen(queue) for queue in QUEUES):
            return False
        with self._sessions.begin() as session:
            return not any(each.events_behind for each in status(session, PROJECTORS).projectors.values())

    def _differences(self) -> int:
        """All that `flask verify` compares."""
        verified = verify(self._sessions, PROJECTORS, IdRange())
        with self._sessions.begin() as session:
            snapshots = sum(1 for _ in wrong_snapshots(session))
        counters = verify_sums(self._sessions, SUMS)
        return len(verified.differences) + len(verified.broken) + len(counters) + snapshots

    def _lost(self, acknowledged: Mapping[str, int]) -> int:
        """Versions have no gaps, so an order's last one says how many events it has."""
        with psycopg.connect(self._url) as connection:
            stored: dict[str, int] = dict(
                connection.execute("SELECT aggregate_id, max(version) FROM events GROUP BY 1").fetchall()
            )
        return sum(max(0, events - stored.get(order_id, 0)) for order_id, events in acknowledged.items())


def _result(load: "subprocess.Popen[str]", output: IO[str]) -> dict[str, Any]:
    """What the load prints when it is over."""
    if load.wait():
        raise RuntimeError("The load has failed; it says above why.")
    output.seek(0)
    result: dict[str, Any] = json.load(output)
    return result


@contextmanager
def _load(
    port: int, authorization: str, lives: float, seconds: float, pause: float, clients: int
) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """The running load, and the file that it prints into: a pipe would be full before it is read."""
    arguments = [str(port), authorization, str(lives), str(seconds), str(pause), str(clients)]
    command = [sys.executable, "-m", "benchmarks.soak.load", *arguments]
    with TemporaryFile("w+") as output, subprocess.Popen(command, cwd=ROOT, stdout=output, text=True) as load:
        try:
            yield load, output
        finally:
            load.kill()


def main(arguments: Sequence[str]) -> int:
    chosen = _parser().parse_args(arguments)
    into: Path = chosen.into or ROOT / "var"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with running_servers(into) as servers:
        url = servers.database("soak")
        servers.use_here(url)
        found, said = _soak(servers, url, chosen.minutes * 60, chosen.per_second)
        table = as_markdown(found, said | settings(servers))
    (into / "soak.md").write_text(table)
    (into / "soak.json").write_text(json.dumps(_as_json(found), indent=1) + "\n")
    (into / "soak.svg").write_text(curves(_curves(found.samples), "minutes"))
    print(table)
    return 1 if found.faults else 0


def _soak(servers: Servers, url: str, seconds: float, per_second: float | None) -> tuple[Found, dict[str, str]]:
    ports = {name: str(free_port(0)) for name in ("PORT", "FLOWER_PORT")}
    login = f"soak:{secrets.token_urlsafe(12)}"
    environment = {**SERVED_AS_IN_PRODUCTION, **ports, "FLOWER_BASIC_AUTH": login, "LOG_LEVEL": "WARNING"}
    sessions = session_factory(url)
    with whole_service(servers, url, environment) as processes:
        tops = {**processes, "postgres": servers.postgres.pid, "valkey": servers.valkey.pid}
        soak = Soak(servers, url, int(ports["PORT"]), Sampler(tops, sessions, servers.redis), sessions)
        pace = per_second or soak.capacity() / 2
        print(f"soak: now {pace:.0f} requests per s", file=sys.stderr, flush=True)
        found = soak.run(pace, seconds)
    sessions.kw["bind"].dispose()
    return found, {"minutes": f"{seconds / 60:g}", "requests per s": f"{pace:.0f}"}


def _as_json(found: Found) -> dict[str, object]:
    growth = {each.what: asdict(each) for each in found.memory}
    load = dict(found.load)
    return {"faults": found.faults, "load": load, "memory": growth, "samples": [asdict(each) for each in found.samples]}


def _curves(samples: Sequence[Sample]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    memory = {part: [(sample.at / 60, sample.memory[part]) for sample in samples] for part in samples[-1].memory}
    behind = {"seconds behind": [(sample.at / 60, sample.seconds_behind) for sample in samples]}
    return {"memory, MB": memory, "lag, seconds": behind}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--per-second", type=float, help="requests; half of what the service can take, if not given")
    parser.add_argument("--into", type=Path, help="folder for the result; var")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
