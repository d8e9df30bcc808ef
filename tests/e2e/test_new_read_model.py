"""docs/read-models.md, done as it stands there: a third read model for a stack that is in use."""

import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from textwrap import indent
from typing import Any

import psutil
import pytest
from alembic.script import ScriptDirectory

from core.database import session_factory
from tests.support.make_run import ROOT, Stack
from tests.support.rebuilding import fill
from tests.support.waiting import wait_until

PAGE = (ROOT / "docs" / "read-models.md").read_text()
FILE = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
DIFF = re.compile(r"```diff\n(.*?)```", re.DOTALL)
ASKING = re.compile(r"Asking it.*?```python\n(.*?)```", re.DOTALL)

Sold = dict[str, tuple[int, Decimal]]  # quantity and amount by product

OLD_ORDERS = 1500  # placed and confirmed long ago
OLD_DAY = date(2026, 1, 1)
OLD_SALES = {
    "ノートPC": (OLD_ORDERS, OLD_ORDERS * Decimal(80000)),
    "マウス": (2 * OLD_ORDERS, OLD_ORDERS * Decimal(3000)),
}

PRICES = {"ノートPC": 80000, "マウス": 1500, "キーボード": 9800}
ENDS: list[tuple[list[str], bool]] = [  # of an order: the commands, and whether it counts
    ([], False),
    (["confirm"], True),
    (["confirm", "ship"], True),
    (["cancel"], False),
    (["confirm", "cancel"], False),
]
BODIES = {"ship": {"tracking_number": "TRACK-12345678"}, "cancel": {"reason": "顧客都合によるキャンセル"}}
CLIENTS = 2


@pytest.mark.timeout(240)  # it starts the stack and half a dozen commands
def test_the_how_to_adds_a_read_model_to_a_stack_in_use(tmp_path: Path) -> None:
    first_day = datetime.now(UTC).date()
    sold: list[Mapping[str, Any]] = []
    copy_tracked_files(tmp_path / "release")

    with Stack(tmp_path / "data", tmp_path / "release") as stack:
        place_old_orders(stack)
        with trading(stack, sold):
            add_what_the_page_says(stack.root)
            assert flask(stack, "db", "upgrade") == 0
            assert flask(stack, "rebuild", "sales") == 0
            assert ask(stack)[OLD_DAY] == OLD_SALES

        restart(stack)
        with trading(stack, sold):
            time.sleep(1)
        answers = [ask(stack)]
        while all_but(OLD_DAY, answers[-1]) != total(sold):
            assert len(answers) < 20, (answers[-1], total(sold))
            answers.append(ask(stack))
        assert answers[-1][OLD_DAY] == OLD_SALES
        assert answers[-1].keys() <= {OLD_DAY, first_day, datetime.now(UTC).date()}
        assert flask(stack, "verify", "sales") == 0


def copy_tracked_files(folder: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)


def add_what_the_page_says(folder: Path) -> None:
    newest = ScriptDirectory(str(ROOT / "migrations")).get_current_head()
    assert f'down_revision = "{newest}"' in PAGE
    files = FILE.findall(PAGE)
    assert [name for name, _ in files] == ["migrations/versions/0008_sales.py", "core/read_models/sales.py"]
    for name, content in files:
        (folder / name).write_text(content)
    [line] = DIFF.findall(PAGE)
    subprocess.run(["git", "apply", "--verbose", "-"], cwd=folder, input=line, text=True, check=True)


def restart(stack: Stack) -> None:
    """What served until now runs the old code still; what ends is started again."""
    serving = [process for part in ("web", "worker", "beat") for process in stack.running(part)]
    for process in serving:
        process.terminate()
    psutil.wait_procs(serving, 30)
    wait_until(lambda: ready(stack), 60)


def ready(stack: Stack) -> bool:
    try:
        return bool(stack.get("/readyz")["status"] == "ready")
    except OSError:
        return False


def place_old_orders(stack: Stack) -> None:
    urls = json.loads((stack.data_dir / "local.json").read_text())
    sessions = session_factory(urls["database_url"])
    fill(sessions, OLD_ORDERS)
    sessions.kw["bind"].dispose()


@contextmanager
def trading(stack: Stack, sold: list[Mapping[str, Any]]) -> Iterator[None]:
    """Orders go on while the block runs; `sold` then has what was sold by acknowledged commands."""
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as clients:
        selling = [clients.submit(sell, stack, stop, random.Random(seed)) for seed in range(CLIENTS)]
        try:
            yield
        finally:
            stop.set()
    before = len(sold)
    for each in selling:
        sold += each.result()
    assert len(sold) > before


def sell(stack: Stack, stop: threading.Event, dice: random.Random) -> list[Mapping[str, Any]]:
    sold: list[Mapping[str, Any]] = []
    while not stop.is_set():
        order = f"/orders/{stack.place()}"
        names = dice.choices(list(PRICES), k=dice.randint(1, 3))
        items = [{"product_name": name, "quantity": dice.randint(1, 9), "unit_price": PRICES[name]} for name in names]
        for item in items:
            stack.post(f"{order}/add_item", item)
        commands, counts = dice.choice(ENDS)
        for command in commands:
            stack.post(f"{order}/{command}", BODIES.get(command))
        sold += items if counts else []
    return sold


def total(sold: Iterable[Mapping[str, Any]]) -> Sold:
    by_product: Sold = defaultdict(lambda: (0, Decimal(0)))
    for item in sold:
        quantity, amount = by_product[item["product_name"]]
        more = item["quantity"]
        by_product[item["product_name"]] = quantity + more, amount + more * item["unit_price"]
    return by_product


def all_but(day: date, sales: Mapping[date, Sold]) -> Sold:
    by_product: Sold = defaultdict(lambda: (0, Decimal(0)))
    for sold in (sales[other] for other in sales if other != day):
        for name, (quantity, amount) in sold.items():
            by_product[name] = by_product[name][0] + quantity, by_product[name][1] + amount
    return by_product


def flask(stack: Stack, *arguments: str) -> int:
    """The exit status of a `flask` command, beside the stack."""
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=stack.root, env=stack.environment, check=False).returncode


def ask(stack: Stack) -> dict[date, Sold]:
    """What the page's own lines print."""
    [lines] = ASKING.findall(PAGE)
    script = f"from webapp import create_app\nwith create_app().app_context():\n{indent(lines, '    ')}"
    command = [sys.executable, "-c", script]
    asked = subprocess.run(command, cwd=stack.root, env=stack.environment, capture_output=True, text=True, check=True)
    sales: dict[date, Sold] = defaultdict(dict)
    for day, name, quantity, amount in (line.split() for line in asked.stdout.splitlines()):
        sales[date.fromisoformat(day)][name] = int(quantity), Decimal(amount)
    return sales
