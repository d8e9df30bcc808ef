"""The Procfile's own programs, so that what is measured is what runs; a comparator takes one's place by its module."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.error import HTTPError

from benchmarks.servers import ROOT, SERVED_AS_IN_PRODUCTION, Servers
from local.probes import answers
from local.program import Program, procfile, stop
from local.servers import free_port
from worker.app import app

START_SECONDS = 60.0
EMPTY_TASKS = "benchmarks.comparators.empty_task"
BARE_VIEW = "benchmarks.comparators.bare_view"


@contextmanager
def web(
    servers: Servers,
    database_url: str,
    module: str = "webapp",
    served: Mapping[str, str] = SERVED_AS_IN_PRODUCTION,
) -> Iterator[int]:
    """The port of a web server with this module's `create_app`; the service's asks for keys."""
    port = free_port(0)
    command = procfile(ROOT / "Procfile")["web"].replace("webapp:create_app", f"{module}:create_app")
    with _running(servers, module, command, {**served, "PORT": str(port)}, database_url):
        _wait(lambda: _listens(port), module)
        yield port


@contextmanager
def worker(servers: Servers, database_url: str, name: str = "worker") -> Iterator[int]:
    """The process id, and group, of a worker that knows the empty tasks too."""
    command = procfile(ROOT / "Procfile")["worker"].replace("-A worker.app", f"-A {EMPTY_TASKS}")
    with _running(servers, name, f"{command} --hostname {name}@%h", {}, database_url) as process_id:
        _wait(lambda: any(node.startswith(f"{name}@") for node in _nodes()), name)
        yield process_id


@contextmanager
def whole_service(servers: Servers, database_url: str, environment: Mapping[str, str]) -> Iterator[Mapping[str, int]]:
    """Every line of the Procfile, as `make run` starts them; the process ids by its names. Ready when the API is."""
    with ExitStack() as stack:
        ids = {
            name: stack.enter_context(_running(servers, name, command, environment, database_url))
            for name, command in procfile(ROOT / "Procfile").items()
        }
        _wait(lambda: answers(f"http://127.0.0.1:{environment['PORT']}/readyz"), "web")
        _wait(lambda: any(node.startswith("celery@") for node in _nodes()), "worker")
        yield ids


def pause(process_group: int) -> None:
    os.killpg(process_group, signal.SIGSTOP)


def resume(process_group: int) -> None:
    os.killpg(process_group, signal.SIGCONT)


@contextmanager
def _running(
    servers: Servers, name: str, command: str, environment: Mapping[str, str], database_url: str
) -> Iterator[int]:
    program = Program(
        name=name,
        command=["sh", "-c", command],
        cwd=ROOT,
        env={**servers.environment(database_url), **environment},
        log=servers.folder / f"{name}.log",
    )
    process = program.launch()
    try:
        yield process.pid
    finally:
        resume(process.pid)
        stop(process, program.stop_signal, seconds=10)


def _wait(ready: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start; its log is in the folder of the servers.")
        time.sleep(0.1)


def _nodes() -> list[str]:
    """The workers that answer."""
    return [node for answer in app.control.ping(timeout=0.5) or [] for node in answer]


def _listens(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2):
            return True
    except HTTPError:
        return True
    except OSError:
        return False
