"""The load, in a process of its own: orders live their lives at a fixed pace, whether the service keeps up or not.

`python -m benchmarks.soak.load PORT AUTHORIZATION LIVES_PER_SECOND SECONDS PAUSE CLIENTS`, with the seconds
between two requests of one life, prints one JSON object when it is over."""

import dataclasses
import heapq
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from benchmarks.figures import percentile
from benchmarks.soak.client import Client
from benchmarks.soak.life import STEPS, Life

DEAD_EVERY = 1.0
HALF = "POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 60"


@dataclasses.dataclass(slots=True)
class Outcome:
    """Latencies are in milliseconds, from when a request was due until its answer was there."""

    seconds: float = 0.0
    requests: int = 0
    events: int = 0
    latencies: list[float] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)
    acknowledged: dict[str, int] = dataclasses.field(default_factory=dict)  # events by order id


class Load:
    def __init__(self, port: int, authorization: str, pause: float, clients: int) -> None:
        self._port = port
        self._half = f"{HALF.format(authorization)}\r\n\r\n{{".encode()
        self._pause = pause
        self._clients = clients
        self._client = Client(port, authorization)
        self._due: list[tuple[float, int, Life]] = []
        self._lock = threading.Lock()
        self.outcome = Outcome()

    def run(self, lives_per_second: float, seconds: float) -> None:
        """Returns when every life that began has ended."""
        started = time.monotonic()
        for number in range(max(1, round(lives_per_second * seconds))):
            heapq.heappush(self._due, (started + number / lives_per_second, number, Life(number)))
        living = len(self._due)
        leaving = threading.Thread(target=self._leave_half_way, args=(started + seconds,))
        leaving.start()
        with ThreadPoolExecutor(self._clients) as pool:
            for due, life in self._in_time(living):
                pool.submit(self._step, due, life)
        self.outcome.seconds = time.monotonic() - started
        leaving.join()

    def _in_time(self, living: int) -> Iterator[tuple[float, Life]]:
        """Each life as often as it has steps, when its next one is due."""
        for _ in range(living * STEPS):
            while True:
                with self._lock:
                    wait = self._due[0][0] - time.monotonic() if self._due else 0.01
                    if wait <= 0:
                        due, _, life = heapq.heappop(self._due)
                        break
                time.sleep(min(wait, 0.01))
            yield due, life

    def _step(self, due: float, life: Life) -> None:
        error, stored = "", 0
        try:
            stored = life.step(self._client)
        except Exception as failure:  # whatever it is, it is what the soak is looking for
            error = f"{type(failure).__name__}: {failure}"
        now = time.monotonic()
        with self._lock:
            self.outcome.requests += 1
            self.outcome.events += stored
            if stored:
                self.outcome.acknowledged[life.order_id] = self.outcome.acknowledged.get(life.order_id, 0) + stored
            self.outcome.latencies.append((now - due) * 1000)
            if error:
                self.outcome.errors.append(error)
            if not life.is_over:
                heapq.heappush(self._due, (max(due + self._pause, now), life.number, life))

    def _leave_half_way(self, until: float) -> None:
        """Clients that break off in the middle of a request."""
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as gone:
                gone.sendall(self._half)
            time.sleep(DEAD_EVERY)


def summary(outcome: Outcome) -> dict[str, object]:
    return {
        "seconds": outcome.seconds,
        "requests": outcome.requests,
        "events": outcome.events,
        "p50_ms": percentile(outcome.latencies, 50),
        "p99_ms": percentile(outcome.latencies, 99),
        "max_ms": max(outcome.latencies),
        "errors": len(outcome.errors),
        "first_errors": outcome.errors[:5],
        "acknowledged": outcome.acknowledged,
    }


if __name__ == "__main__":
    load = Load(int(sys.argv[1]), sys.argv[2], float(sys.argv[5]), int(sys.argv[6]))
    load.run(float(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps(summary(load.outcome)))
