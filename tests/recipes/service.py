"""The recipes' release takes over from the old one under load, on real servers, and is asked what it knows."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from local.program import procfile
from tests.recipes.page import Commands, Step
from tests.recipes.release import BIN, Release
from tests.recipes.trading import Traded, customers, sold, trading
from tests.support.make_run import Stack
from tests.support.waiting import wait_until


def take_over(release: Release, steps: Sequence[Step], data: Path) -> None:
    """`steps` are the page's commands: those before the processes are started again, and those after."""
    before, after = (step.lines for step in steps if isinstance(step, Commands))
    traded: list[Traded] = []
    release.go_to("checkout")
    with Stack(data, release.folder) as stack:
        with trading(stack, traded, removing=False):
            release.go_to("main")
            flask(stack, before)
        start_again(stack)
        with trading(stack, traded, removing=True):
            flask(stack, after)
            flask(stack, ["flask rebuild", "flask verify"])
        wait_until(lambda: shown_sales(stack) == sold(traded), 60)
        wait_until(lambda: shown_customers(stack) == customers(traded), 60)
        flask(stack, ["flask verify"])
        for order in traded:
            check_items(stack, order)


def start_again(stack: Stack) -> None:
    """What served until now runs the old code still; what ends is started again."""
    serving = [process for part in procfile(stack.root / "Procfile") for process in stack.running(part)]
    for process in serving:
        process.terminate()
    psutil.wait_procs(serving, 30)
    wait_until(lambda: ready(stack), 60)


def ready(stack: Stack) -> bool:
    try:
        return bool(stack.get("/readyz")["status"] == "ready")
    except OSError:
        return False


def flask(stack: Stack, lines: Sequence[str]) -> None:
    """Commands beside the stack. Raises CalledProcessError."""
    for line in lines:
        _, *arguments = line.split()
        print(f"flask {' '.join(arguments)}", flush=True)
        subprocess.run([BIN / "flask", *arguments], cwd=stack.root, env=stack.environment, check=True)


def shown_sales(stack: Stack) -> dict[str, tuple[int, int]]:
    """Quantity and amount by product; midnight may have been meanwhile."""
    quantities, amounts = Counter[str](), Counter[str]()
    today = datetime.now(UTC).date()
    for day in (today - timedelta(days=1), today):
        for line in stack.get(f"/sales?day={day}")["sales"]:
            quantities[line["product_name"]] += line["quantity"]
            amounts[line["product_name"]] += line["amount"]
    return {name: (quantity, amounts[name]) for name, quantity in quantities.items()}


def shown_customers(stack: Stack) -> dict[str, tuple[int, int]]:
    return {line["customer_name"]: (line["orders"], line["revenue"]) for line in stack.get("/customers")["customers"]}


def check_items(stack: Stack, order: Traded) -> None:
    """What is left, what there was, and what is told of it."""
    path = f"/orders/{order.order_id}"
    shown = stack.get(path)
    expected = [item["product_name"] for item in order.items.values()]
    assert [item["product_name"] for item in shown["items"]] == expected, (shown, order)
    told = [event["event_type"] for event in stack.get(f"{path}/events")["events"]]
    assert told.count("OrderItemRemoved") == len(order.removed), (told, order)
    for version in order.removed:
        added = stack.get(f"{path}?version={version}")["items"]
        assert len(added) == version - 1, (added, order)
        changes = stack.get(f"{path}/diff?from={version}&to={shown['version']}")["changes"]
        assert any(change["after"] is None and change["before"]["version"] == version for change in changes), changes
