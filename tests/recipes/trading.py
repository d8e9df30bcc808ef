"""Clients that trade while the release changes under them, and what they know of every order in the end."""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

from tests.support.make_run import Stack

CLIENTS = 2
FEWEST = 20  # orders of each client
PRICES = {"ノートPC": 80000, "マウス": 1500, "キーボード": 9800}
CUSTOMERS = ["山田太郎", "佐藤花子", "鈴木一郎", "José", "Jose\u0301"]  # the last two are one
BODIES = {"ship": {"tracking_number": "TRACK-12345678"}, "cancel": {"reason": "顧客都合によるキャンセル"}}
ENDS: list[tuple[str, ...]] = [(), ("confirm",), ("confirm", "ship"), ("cancel",), ("confirm", "cancel")]


@dataclass
class Traded:
    """An order as its client knows it, from answers alone. `items` are those left, by the version that added each."""

    order_id: str
    customer_name: str
    items: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    end: tuple[str, ...] = ()

    @property
    def sold(self) -> bool:
        return self.end in (("confirm",), ("confirm", "ship"))


def trade(stack: Stack, dice: random.Random, *, removing: bool) -> Traded:
    """One order, from placing to one of the ends; `removing` takes one of its items out again."""
    customer = dice.choice(CUSTOMERS)
    order = Traded(stack.place(customer), customer)
    path = f"/orders/{order.order_id}"
    for name in dice.choices(list(PRICES), k=dice.randint(2, 4)):
        item = {"product_name": name, "quantity": dice.randint(1, 9), "unit_price": PRICES[name]}
        order.items[stack.post(f"{path}/add_item", item)["version"]] = item
    if removing:
        order.removed = [dice.choice(list(order.items))]
        stack.post(f"{path}/remove_item", {"version": order.removed[0]})
        del order.items[order.removed[0]]
    order.end = dice.choice(ENDS)
    for command in order.end:
        stack.post(f"{path}/{command}", BODIES.get(command))
    return order


@contextmanager
def trading(stack: Stack, traded: list[Traded], *, removing: bool) -> Iterator[None]:
    """Clients trade while the block runs, and at least FEWEST orders each; `traded` then has theirs too."""
    stop = threading.Event()

    def client(seed: int) -> None:
        dice, mine = random.Random(seed), 0
        while mine < FEWEST or not stop.is_set():
            traded.append(trade(stack, dice, removing=removing))
            mine += 1

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(client, seed) for seed in range(CLIENTS)]
        try:
            yield
        finally:
            stop.set()
        for each in running:
            each.result()


def sold(traded: list[Traded]) -> dict[str, tuple[int, int]]:
    """Quantity and amount by product."""
    quantities = Counter[str]()
    for item in (item for order in traded if order.sold for item in order.items.values()):
        quantities[item["product_name"]] += item["quantity"]
    return {name: (quantity, quantity * PRICES[name]) for name, quantity in quantities.items()}


def customers(traded: list[Traded]) -> dict[str, tuple[int, int]]:
    """Number of orders and revenue, which is what was shipped, by customer. Each order is placed for 100."""
    orders = Counter(normalize("NFC", order.customer_name) for order in traded)
    shipped = Counter(normalize("NFC", order.customer_name) for order in traded if "ship" in order.end)
    return {name: (number, 100 * shipped[name]) for name, number in orders.items()}
