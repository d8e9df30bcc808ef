"""`make run` as an operator meets it: what it says, ports, folders and deaths; the stack that runs is one for all."""

import json
import re
import stat
import subprocess
import sys
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

import psutil
import psycopg
import pytest

from tests.support.make_run import ROOT, Stack, details_version, shown
from tests.support.waiting import wait_until

BURST = 500


def refusal(stack: Stack) -> str:
    """What a run says that cannot start."""
    stack.launch()
    assert stack.process.wait(30) == 1
    wait_until(lambda: stack.output.endswith("\n"), 5)
    return stack.output


def test_everything_runs_and_is_announced(stack: Stack) -> None:
    for part in ("web", "worker", "webhooks", "beat", "flower", "postgres", "valkey"):
        assert len(stack.running(part)) == 1
    assert f"http://127.0.0.1:{stack.port}\n" in stack.output
    assert f"http://127.0.0.1:{stack.flower_port} " in stack.output
    assert f"curl -s localhost:{stack.port}/orders" in stack.output
    assert "none needed: ORDERLOG_AUTH=off" in stack.output
    assert "WARNING" not in stack.output
    wait_until(lambda: ready(stack), 20)


def test_the_printed_commands_make_sample_orders(stack: Stack) -> None:
    commands = stack.output.split("in another shell:\n")[1].split("Ctrl-C")[0]
    printed = subprocess.run(["sh", "-euc", commands], capture_output=True, text=True, check=True).stdout

    order_ids = re.findall(r'{"order_id": "([^"]+)", "version": 1, "position": \d+}', printed)
    assert len(order_ids) == 3
    for order_id in order_ids:
        wait_until(partial(shown, stack, order_id), 5)


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    listening = {
        connection.laddr.ip
        for process in [psutil.Process(stack.process.pid), *stack.processes]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_the_data_can_be_read_by_nobody_else(stack: Stack) -> None:
    modes = {path: path.lstat().st_mode for path in (stack.data_dir, *stack.data_dir.rglob("*")) if path.exists()}

    assert stack.data_dir / "valkey" / "valkey.conf" in modes
    for path, mode in modes.items():
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path


def test_the_processes_run_under_the_role_of_production(stack: Stack) -> None:
    stack.place()
    state = json.loads((stack.data_dir / "postgres.json").read_text())
    login = {"user": "orderlog", "password": state["password"], "port": state["port"]}
    with psycopg.connect(host="127.0.0.1", dbname="orderlog", **login) as superuser:
        roles = superuser.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'orderlog' AND pid <> pg_backend_pid()"
        ).fetchall()
    assert roles == [("orderlog_app",)]
    assert state["password"] not in (stack.data_dir / "local.json").read_text()


def test_a_site_that_takes_this_machines_address_is_not_answered(stack: Stack) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        asking = urllib.request.Request(f"http://127.0.0.1:{stack.port}/orders", headers=headers)
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(asking, timeout=5)


def test_keys_and_migrations_are_made_by_the_owner_in_another_shell(stack: Stack) -> None:
    for command in ("db upgrade", "api-keys create shop --scope orders:read", "api-keys list"):
        flask = [sys.executable, "-m", "flask", *command.split()]
        ran = subprocess.run(flask, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


def test_an_event_is_visible_within_a_second(stack: Stack) -> None:
    order_id = stack.place()

    assert wait_until(lambda: shown(stack, order_id), 5) < 1


def test_flower_asks_for_the_login_and_shows_the_tasks(stack: Stack) -> None:
    login = stack.output.split("user ")[1].split(")")[0].replace(", password ", ":")
    url = f"http://127.0.0.1:{stack.flower_port}/tasks/datatable?start=0&length=10&draw=1&columns[0][data]=name&order[0][column]=0&order[0][dir]=desc&search[value]="

    with pytest.raises(HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=5)

    def tasks() -> str:
        asking = urllib.request.Request(url, headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"})
        with urllib.request.urlopen(asking, timeout=5) as answer:
            return str(answer.read())

    def shows_a_new_one() -> bool:
        """Flower hears of tasks only from when it listens; catch-ups, which come all the time, are last by name."""
        stack.place()
        return "worker.tasks.project_event" in tasks()

    wait_until(shows_a_new_one, 15)


def test_flower_shows_nothing_but_counters_without_the_login(stack: Stack) -> None:
    flower = f"http://127.0.0.1:{stack.flower_port}"
    for path in ("/metrics", "/healthcheck"):
        with urllib.request.urlopen(flower + path, timeout=5) as answer:
            assert answer.status == 200
    for path in ("/", "/workers", "/worker/any", "/tasks", "/task/any", "/broker", "/api/workers", "/api/tasks"):
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(flower + path, timeout=5)


def test_flower_changes_nothing_even_with_the_login(stack: Stack) -> None:
    login = stack.output.split("user ")[1].split(")")[0].replace(", password ", ":")
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
    for path in ("worker/shutdown/any", "task/revoke/any", "task/apply/worker.tasks.project_event"):
        asking = urllib.request.Request(
            f"http://127.0.0.1:{stack.flower_port}/api/{path}", b"{}", headers, method="POST"
        )
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(asking, timeout=5)


@pytest.mark.parametrize("part", ["web", "worker", "webhooks", "beat", "flower", "postgres", "valkey"])
def test_what_is_killed_is_started_again(stack: Stack, part: str) -> None:
    [killed] = stack.running(part)
    killed.kill()

    wait_until(lambda: [process.pid for process in stack.running(part)] not in ([], [killed.pid]), 20)
    wait_until(lambda: places(stack), 20)  # readiness is kept for a second
    wait_until(lambda: ready(stack), 20)

    order_id = stack.place()
    wait_until(lambda: shown(stack, order_id), 20)


def places(stack: Stack) -> bool:
    try:
        return bool(stack.place())
    except OSError:
        return False


def ready(stack: Stack) -> bool:
    try:
        return bool(stack.get("/readyz")["status"] == "ready")
    except OSError:
        return False


def test_two_run_side_by_side(stack: Stack, tmp_path: Path) -> None:
    with Stack(tmp_path) as other:
        order_id = other.place()
        wait_until(lambda: shown(other, order_id), 5)
        with pytest.raises(HTTPError, match="404"):
            stack.get(f"/orders/{order_id}")


def test_a_taken_port_is_one_clear_sentence(stack: Stack, tmp_path: Path) -> None:
    for name, port in (("PORT", stack.port), ("FLOWER_PORT", stack.flower_port)):
        said = refusal(Stack(tmp_path, **{name: str(port)}))

        assert said.count("\n") == 1
        assert f"Port {port} is taken" in said
        assert f"{name}={port + 1} make run" in said


@pytest.mark.parametrize("port", ["0", "65536", "http", "8000 "])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    assert refusal(Stack(tmp_path, PORT=port)) == (
        f"orderlog: PORT must be a port number from 1 to 65535, not {port!r}.\n"
    )


def test_a_data_folder_in_use_is_refused(stack: Stack) -> None:
    said = refusal(Stack(stack.data_dir))

    assert said.count("\n") == 1
    assert "Another `make run` is using" in said


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = refusal(Stack(tmp_path / "file" / "data"))

    assert said.count("\n") == 1
    assert "DATA_DIR" in said


def test_a_named_postgresql_that_is_away_is_said_clearly(tmp_path: Path) -> None:
    said = refusal(Stack(tmp_path, DATABASE_URL="postgresql://orderlog:secret@127.0.0.1:1/orderlog"))

    assert "The PostgreSQL that DATABASE_URL names does not answer" in said
    assert "Traceback" not in said
    assert "secret" not in said


def listed(stack: Stack) -> set[str]:
    """The ids of all orders that the list shows, page by page."""
    ids: set[str] = set()
    cursor = ""
    while True:
        page = stack.get(f"/orders?limit=200{cursor}")
        ids.update(order["order_id"] for order in page["orders"])
        if page["next_cursor"] is None:
            return ids
        cursor = f"&cursor={page['next_cursor']}"


def kill(worker: psutil.Process) -> None:
    """With its pool; some of them may have died already."""
    with suppress(psutil.NoSuchProcess):
        for process in [*worker.children(), worker]:
            process.kill()


def test_killing_the_worker_during_a_burst_loses_nothing(stack: Stack) -> None:
    with ThreadPoolExecutor(8) as clients:
        placing = [clients.submit(stack.place) for _ in range(BURST)]
        for done in (50, 200, 350):
            placing[done].result()
            for worker in stack.running("worker"):
                kill(worker)
        placed = {each.result() for each in placing}

    assert len(placed) == BURST
    wait_until(lambda: placed <= listed(stack), 60)
    wait_until(lambda: all(details_version(stack, order_id) == 1 for order_id in placed), 60)
