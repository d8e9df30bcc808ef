"""`make run` from its start to its end, each time with a stack of the test's own."""

import signal
from pathlib import Path
from urllib.error import HTTPError

import psutil
import pytest

from local.servers import ValkeyServer
from tests.support.make_run import Stack, outliving, shown
from tests.support.waiting import wait_until

MOST_STOP_SECONDS = 15


def test_the_data_survives_and_nothing_else_does(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)  # a socket in it would have a path too long for the system
    with Stack(data) as first:
        order_id = first.place()
        wait_until(lambda: shown(first, order_id), 5)
        left = first.processes
        assert first.stop(signal.SIGINT) < MOST_STOP_SECONDS
        assert first.process.returncode == 0
        assert not outliving(left, 1)
    assert not (data / "local.json").exists()

    with Stack(data) as second:
        assert shown(second, order_id)
        left = second.processes
        assert second.stop(signal.SIGTERM) < MOST_STOP_SECONDS
        assert not outliving(left, 1)


def test_nothing_outlives_a_killed_run(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        left = stack.processes
        stack.process.kill()
        assert not outliving(left, MOST_STOP_SECONDS)


def test_ctrl_c_before_anything_has_begun_prints_nothing(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.launch()
    mapped = Path(f"/proc/{stack.process.pid}/maps")
    wait_until(lambda: "psycopg" in mapped.read_text(), 30)  # one of its imports

    stack.stop()
    assert "Traceback" not in stack.output


def test_stopping_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.launch()
    wait_until(lambda: "starting web" in stack.output, 30)
    left = stack.processes

    assert stack.stop() < MOST_STOP_SECONDS
    assert stack.process.returncode == 0
    assert not outliving(left, 1)


def test_keys_can_be_tried_here_too(tmp_path: Path) -> None:
    with Stack(tmp_path, ORDERLOG_AUTH="on", HOST="0.0.0.0") as stack:
        assert "needed: ORDERLOG_AUTH=on" in stack.output
        with pytest.raises(HTTPError, match="401"):
            stack.place()
        listening = [
            connection.laddr.ip
            for process in stack.processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == stack.port
        ]
        assert set(listening) == {"127.0.0.1"}  # `make run` never listens elsewhere


def test_commands_go_on_without_redis_and_are_shown_when_it_is_back(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "valkey") as valkey, Stack(tmp_path / "stack", REDIS_URL=valkey.url) as stack:
        valkey.stop()
        order_id = stack.place()
        wait_until(lambda: stack.get("/readyz")["status"] == "degraded", 10)

        valkey.start()

        wait_until(lambda: shown(stack, order_id), 30)
