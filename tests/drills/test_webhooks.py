"""Webhooks to a receiver that is down, slow, answering 500 and closing in the middle, while processes are killed.

Every event comes at least once, in order per order, and the receiver ends with the service's own totals."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
import simplejson
from standardwebhooks.webhooks import Webhook

from tests.drills.breakable_servers import BreakableServers
from tests.drills.drill import Size, run
from tests.drills.faults import Fault, Faults
from tests.drills.fleet import SEED, Fleet
from tests.support.make_run import request
from tests.support.receiver import Behave, Receiver, answer
from tests.support.waiting import NotReached, wait_until

pytestmark = pytest.mark.long

EVENTS = Size(short=300, full=6_000)
ROUNDS = Size(short=1, full=4)
TROUBLE = Size(short=2, full=5)  # seconds that a receiver is in trouble
PATIENCE = 90.0  # seconds; what a killed process had taken is taken again after 30
STATUSES = {"OrderPlaced": "pending", "OrderConfirmed": "confirmed", "OrderCancelled": "cancelled"}


class Shop:
    """A service that knows docs/events.md only: it verifies, drops what it has, and counts."""

    def __init__(self) -> None:
        self.receiver = Receiver(behave=self.take)
        self.trouble: Behave | None = None
        self.secret = ""
        self._applying = threading.Lock()
        self.disorder: list[str] = []
        self.versions: dict[str, int] = defaultdict(int)
        self.status: dict[str, str] = {}
        self.amount: dict[str, Decimal] = defaultdict(Decimal)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        if self.trouble is not None:
            self.trouble(handler)
            return
        got = next(
            each for each in reversed(self.receiver.got) if each.headers["webhook-id"] == handler.headers["webhook-id"]
        )
        Webhook(self.secret).verify(got.body, got.headers)
        with self._applying:
            self.apply(simplejson.loads(got.body, use_decimal=True))
        answer(204)(handler)

    def apply(self, event: dict[str, Any]) -> None:
        order_id, version = event["subject"], event["orderversion"]
        if version > self.versions[order_id] + 1:
            self.disorder.append(f"{order_id}: {version} after {self.versions[order_id]}")
        if version <= self.versions[order_id]:
            return
        self.versions[order_id] = version
        self.status[order_id] = {**STATUSES, "OrderShipped": "shipped"}.get(
            event["type"], self.status.get(order_id, "")
        )
        if event["type"] == "OrderPlaced":
            self.amount[order_id] = event["data"]["total_amount"]

    def totals(self) -> dict[str, Any]:
        counted = Counter(self.status.values())
        shipped = (self.amount[order_id] for order_id, status in self.status.items() if status == "shipped")
        return {
            "total_count": len(self.status),
            **{f"{status}_count": counted[status] for status in ("pending", "confirmed", "shipped", "cancelled")},
            "total_revenue": sum(shipped, Decimal(0)),
        }


def closes_in_the_middle(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1)
    answer(503)(handler)


class Troubles:
    """What befalls one receiver, for some seconds each."""

    def __init__(self, shop: Shop, count: Counter[str]) -> None:
        self._shop = shop
        self._count = count

    def befall(self, name: str, trouble: Behave) -> None:
        self._shop.trouble = trouble
        time.sleep(int(TROUBLE))
        self._shop.trouble = None
        self._count[f"receiver {name}"] += 1

    def answers_500(self) -> None:
        self.befall("answering 500", answer(500))

    def closes(self) -> None:
        self.befall("closing in the middle", closes_in_the_middle)

    def is_slow(self) -> None:
        self.befall("slow", slow)

    def is_down(self) -> None:
        self._shop.receiver.__exit__()
        time.sleep(int(TROUBLE))
        self._shop.receiver.__enter__()
        self._count["receiver down"] += 1


def deliver(servers: BreakableServers, logs: Path, worker_app: str) -> tuple[Sequence[str], Counter[str]]:
    """What was found, and what was broken."""
    troubled, calm = Shop(), Shop()
    database_url = servers.fresh_database()
    with (
        troubled.receiver,
        calm.receiver,
        Fleet(
            logs, database_url=database_url, broker_url=servers.broker.url, webs=2, webhooks=2, worker_app=worker_app
        ) as stack,
    ):
        url = f"http://127.0.0.1:{stack.ports[0]}"
        for shop in (troubled, calm):
            shop.secret = str(request(f"{url}/webhooks", {"url": shop.receiver.url})["secret"])
        faults = Faults(stack, servers, SEED)
        troubles = Troubles(troubled, faults.count)
        plan: list[Fault] = [troubles.answers_500, troubles.closes, troubles.is_slow, troubles.is_down]
        plan += [faults.kill_webhooks, faults.kill_worker, faults.kill_web_process, faults.kill_beat]
        plan += [faults.crash_broker, faults.crash_postgres]
        plan = random.Random(SEED).sample(plan * int(ROUNDS), len(plan) * int(ROUNDS))
        report = run("webhooks", stack, events=int(EVENTS), faults=plan, counted=faults.count)
        assert report.passed, report
        stopped = time.monotonic()
        findings = [
            *missing("the troubled receiver", troubled, database_url),
            *missing("the calm receiver", calm, database_url),
            *troubled.disorder,
            *calm.disorder,
        ]
        print(f"  {'seconds to deliver':28}{time.monotonic() - stopped:>12.1f}")
        statistics = request(f"{url}/orders/statistics")
        findings += [f"totals {shop.totals()}" for shop in (troubled, calm) if shop.totals() != statistics]
    return findings, faults.count


def missing(name: str, shop: Shop, database_url: str) -> list[str]:
    """The orders of which not every event has come in the end."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT aggregate_id, max(version) FROM events GROUP BY aggregate_id").fetchall()
    stored: dict[str, int] = dict(rows)
    try:
        wait_until(lambda: shop.versions == stored, PATIENCE)
    except NotReached:
        return [
            f"{name} has {shop.versions[each]} of {stored[each]} of {each}"
            for each in stored
            if shop.versions[each] != stored[each]
        ]
    return []


@pytest.mark.timeout(900)
def test_webhooks(servers: BreakableServers, logs: Path) -> None:
    findings, broken = deliver(servers, logs, "tests.drills.quick_retries")

    assert broken.total() == 10 * int(ROUNDS)
    assert not findings, findings[:10]


@pytest.mark.timeout(900)
def test_webhooks_that_forget_failures(servers: BreakableServers, logs: Path) -> None:
    """Sabotaged: the drill is able to find what it finds nothing of."""
    findings, _ = deliver(servers, logs, "tests.drills.sabotage.forgetful_webhooks")

    assert any(" after " in finding for finding in findings), findings[:10]  # an event that was lost comes no more
