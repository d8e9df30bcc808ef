"""Breaking a stack's processes. Every fault is counted by name, and ends before its function returns."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.drills.breakable_servers import BreakableServers
from tests.drills.fleet import Fleet
from tests.drills.proxy import Proxy
from tests.support.make_run import command_line
from tests.support.waiting import NotReached, wait_until

APPEAR_SECONDS = 30

Fault = Callable[[], None]


class Faults:
    def __init__(self, stack: Fleet, servers: BreakableServers, seed: int, proxy: Proxy | None = None) -> None:
        self.count: Counter[str] = Counter()
        self._stack = stack
        self._servers = servers
        self._proxy = proxy
        self._random = random.Random(f"{seed} faults")

    def mixed(self, plan: Sequence[Fault]) -> list[Fault]:
        return self._random.sample(plan, len(plan))

    def kill_pool_child(self) -> None:
        self._kill("kill -9 of a pool child", lambda: _children(self._stack.tops("worker")))

    def kill_worker(self) -> None:
        """The main process; its pool finds out by itself or goes with the supervisor's clearing up."""
        self._kill("kill -9 of a worker's main process", lambda: _running(self._stack.tops("worker")))

    def kill_webhooks(self) -> None:
        self._kill("kill -9 of the webhooks process", lambda: _running(self._stack.tops("webhooks")))

    def kill_beat(self) -> None:
        self._kill("kill -9 of Beat", lambda: _running(self._stack.tops("beat")))

    def kill_web_process(self) -> None:
        self._kill("kill -9 of a web process", lambda: _children(self._stack.tops("web")))

    def kill_web(self) -> None:
        self._kill("kill -9 of a web's main process", lambda: _running(self._stack.tops("web")))

    def kill_follower(self) -> None:
        self._kill("kill -9 of the follower", lambda: _running(self._stack.tops("follower")))

    def wait_for_own_deaths(self, record: Path, number: int) -> None:
        """Until web processes of `factories.dies_before_enqueue` have died as often."""
        wait_until(lambda: record.exists() and len(record.read_text().splitlines()) >= number, 600)
        self.count["kill -9 between commit and enqueue"] = len(record.read_text().splitlines())

    def crash_broker(self) -> None:
        self._servers.crash_broker(away=self._random.uniform(0, 0.5))
        self.count[f"kill -9 and restart of {self._servers.broker.name}"] += 1

    def flush_waiting_hints(self) -> None:
        """Delete all hints at a moment when some wait: the workers stand still until some do."""
        workers = _running(self._stack.tops("worker"))
        for process in workers:
            process.suspend()
        with suppress(NotReached):
            wait_until(lambda: self._servers.broker.hints_waiting() >= 10, 5)
        self._servers.broker.empty()
        for process in workers:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self.count[self._servers.broker.emptying] += 1

    def black_hole(self) -> None:
        self._through_proxy().black_hole(self._random.uniform(1, 3))
        self.count["black-holed broker"] += 1

    def strand_connections(self) -> None:
        self._through_proxy().strand()
        self.count["connections to the broker silent for good"] += 1

    def reset_connections(self) -> None:
        self._through_proxy().reset(self._random.uniform(0, 1))
        self.count["connections to the broker reset"] += 1

    def slow_broker(self) -> None:
        self._through_proxy().slow_down(0.05, self._random.uniform(1, 3))
        self.count["slow broker"] += 1

    def _through_proxy(self) -> Proxy:
        assert self._proxy is not None, "this drill's broker is not behind a proxy"
        return self._proxy

    def stop_beat(self) -> None:
        self._stack.stop("beat-0")
        self.count["Beat stopped"] += 1

    def start_beat(self) -> None:
        self._stack.start("beat-0")

    def crash_postgres(self) -> None:
        self._servers.crash_postgres()
        self.count["kill -9 of all of PostgreSQL"] += 1

    def pause_postgres(self) -> None:
        self._servers.pause_postgres(5)
        self.count["SIGSTOP of PostgreSQL for 5 s"] += 1

    def _kill(self, name: str, victims: Callable[[], list[psutil.Process]]) -> None:
        def killed() -> bool:
            with suppress(psutil.NoSuchProcess, IndexError):
                self._random.choice(victims()).kill()
                return True
            return False

        wait_until(killed, APPEAR_SECONDS)
        self.count[name] += 1


def _running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Without the dead, and without those that are still a shell about to become the program."""
    return [process for process in processes if "python" in command_line(process).split(" ")[0]]


def _children(tops: list[psutil.Process]) -> list[psutil.Process]:
    """Their working processes; Python's resource tracker is none."""
    found = []
    for top in tops:
        with suppress(psutil.NoSuchProcess):
            found += [child for child in top.children() if "resource_tracker" not in command_line(child)]
    return [child for child in found if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
