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

from alembic.script import ScriptDirectory

from core.database import session_factory
from tests.e2e.stack import ROOT, Stack, wait_until
from tests.rebuilding import fill

PAGE = (ROOT / "docs" / "read-models.md").read_text()
FILE = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
DIFF = re.compile(r"```diff\n(.*?)```", re.DOTALL)
ASKING = re.compile(r"Asking it.*?```python\n(.*?)```", re.DOTALL)
DOWN_REVISION = re.compile(r'^down_revision = ".+"$', re.MULTILINE)

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
CLIENTS = 3


def test_the_how_to_adds_a_read_model_to_a_stack_in_use(tmp_path: Path) -> None:
    first_day = datetime.now(UTC).date()
    release = make_release(tmp_path / "release")
    sold: list[Mapping[str, Any]] = []

    with Stack(tmp_path / "data") as old:
        place_old_orders(old)
        with trading(old, sold):
            for command in (["db", "upgrade"], ["rebuild", "sales"]):
                assert flask(release, old, *command) == 0, command
            assert ask(release, old)[OLD_DAY] == OLD_SALES
            assert old.get("/readyz")["status"] != "unready"

    with Stack(tmp_path / "data", root=release) as new:
        with trading(new, sold):
            time.sleep(2)
        wait_until(lambda: all_but(OLD_DAY, ask(release, new)) == total(sold), 60)
        assert ask(release, new).keys() <= {OLD_DAY, first_day, datetime.now(UTC).date()}
        assert ask(release, new)[OLD_DAY] == OLD_SALES
        assert flask(release, new, "verify", "sales") == 0


def make_release(folder: Path) -> Path:
    """What is tracked here, and what the page adds."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    newest = ScriptDirectory(str(ROOT / "migrations")).get_current_head()
    files = FILE.findall(PAGE)
    assert [name for name, _ in files] == ["migrations/versions/0004_sales.py", "core/read_models/sales.py"]
    for name, content in files:
        (folder / name).write_text(DOWN_REVISION.sub(f'down_revision = "{newest}"', content))
    [line] = DIFF.findall(PAGE)
    subprocess.run(["git", "apply", "--verbose", "-"], cwd=folder, input=line, text=True, check=True)
    return folder


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
    sold = []
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


def flask(release: Path, stack: Stack, *arguments: str) -> int:
    """The exit status of the release's `flask` command, beside the stack."""
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=release, env=stack.environment, check=False).returncode


def ask(release: Path, stack: Stack) -> dict[date, Sold]:
    """What the page's own lines print."""
    [lines] = ASKING.findall(PAGE)
    script = f"from webapp import create_app\nwith create_app().app_context():\n{indent(lines, '    ')}"
    command = [sys.executable, "-c", script]
    asked = subprocess.run(command, cwd=release, env=stack.environment, capture_output=True, text=True, check=True)
    sales: dict[date, Sold] = defaultdict(dict)
    for day, name, quantity, amount in (line.split() for line in asked.stdout.splitlines()):
        sales[date.fromisoformat(day)][name] = int(quantity), Decimal(amount)
    return sales
