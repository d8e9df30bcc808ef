"""Faults of the running stack: nothing is lost, and nobody has to do anything."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from local.servers import ValkeyServer
from tests.support.make_run import Stack, details_version, shown
from tests.support.waiting import wait_until

BURST = 500


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


def test_commands_go_on_without_redis_and_are_shown_when_it_is_back(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "valkey") as valkey, Stack(tmp_path / "stack", REDIS_URL=valkey.url) as stack:
        valkey.stop()
        order_id = stack.place()
        assert stack.get("/readyz")["status"] == "degraded"

        valkey.start()

        wait_until(lambda: shown(stack, order_id), 30)
