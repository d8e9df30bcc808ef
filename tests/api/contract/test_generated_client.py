"""A client that is generated from /openapi.json, and knows nothing else, does what the contract promises."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from core.api_keys import Scope
from local.servers import ValkeyServer
from tests.support.keys import Keys
from tests.support.web_server import WebServer
from tests.support.worker import Worker

PACKAGE = "generated_order_client"


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Its address; a worker projects."""
    with (
        ValkeyServer(tmp_path) as broker,
        Worker(database_url, broker.url, tmp_path / "worker.log"),
        WebServer(database_url, broker.url, tmp_path / "web.log", ORDERLOG_AUTH="on") as web,
    ):
        yield f"http://127.0.0.1:{web.port}"


@pytest.fixture
def generated(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Can be imported from now on, and by this test alone."""
    contract, config = tmp_path / "openapi.json", tmp_path / "config.yml"
    with urlopen(f"{service}/openapi.json") as answer:
        contract.write_bytes(answer.read())
    config.write_text("post_hooks: []\n")  # the generator would tidy the code with tools of its own
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"]
    where = ["--path", str(contract), "--output-path", str(tmp_path / PACKAGE), "--config", str(config)]
    done = subprocess.run([*command, *where], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(str(tmp_path))


def operation(tag: str, name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")


def model(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.models.{module}"), name)


def test_it_places_retries_races_waits_and_reads_the_past(service: str, generated: None, keys: Keys) -> None:
    key = keys.create(Scope.ORDERS_READ, Scope.ORDERS_WRITE).text
    make_client = importlib.import_module(PACKAGE).AuthenticatedClient
    with make_client(base_url=service, token=key) as client:
        order_id = places_and_retries(client)
        races(client, order_id)
        waits(client, order_id)
        reads_the_past(client, order_id)


def places_and_retries(client: Any) -> str:
    body = model("place_order_body", "PlaceOrderBody")(customer_name="山田太郎", total_amount=83000.5)
    key = str(uuid4())

    first, second = (
        operation("commands", "place_order").sync_detailed(client=client, body=body, idempotency_key=key)
        for _ in range(2)
    )

    assert (first.status_code, first.parsed.version) == (HTTPStatus.CREATED, 1)
    assert second.parsed == first.parsed
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    return str(first.parsed.order_id)


def races(client: Any, order_id: str) -> None:
    """Two have seen version 1, and one of them may change it."""
    body = model("add_order_item_body", "AddOrderItemBody")(product_name="ノートPC", quantity=2, unit_price=0.1)

    def add(_: int) -> Any:
        return operation("commands", "add_item").sync_detailed(order_id, client=client, body=body, if_match='"1"')

    with ThreadPoolExecutor(2) as pool:
        won, lost = sorted(pool.map(add, range(2)), key=lambda answer: int(answer.status_code))

    assert (won.status_code, won.headers["ETag"]) == (HTTPStatus.OK, '"2"')
    assert lost.status_code == HTTPStatus.PRECONDITION_FAILED
    assert isinstance(lost.parsed, model("order_has_moved_on_problem", "OrderHasMovedOnProblem"))
    assert lost.parsed.version == 2


def waits(client: Any, order_id: str) -> None:
    body = model("confirm_order_body", "ConfirmOrderBody")()
    confirmed = operation("commands", "confirm_order").sync_detailed(
        order_id, client=client, body=body, prefer="wait=10"
    )
    assert confirmed.headers["Preference-Applied"] == "wait"

    shown = operation("queries", "show_order").sync(order_id, client=client, min_version=confirmed.parsed.version)
    assert (shown.status.value, shown.version, shown.items_total) == ("confirmed", 3, 0.2)


def reads_the_past(client: Any, order_id: str) -> None:
    then = operation("queries", "show_order").sync(order_id, client=client, version=1)
    assert (then.status.value, then.items, then.total_amount) == ("pending", [], 83000.5)

    trail = operation("queries", "show_events").sync(order_id, client=client)
    assert [event.event_type for event in trail.events] == ["OrderPlaced", "OrderItemAdded", "OrderConfirmed"]
    assert {event.actor for event in trail.events} == {"shop"}

    diff = operation("queries", "show_diff").sync(order_id, client=client, from_=2, to=3)
    assert {change.field: (change.before, change.after) for change in diff.changes}["status"] == (
        "pending",
        "confirmed",
    )
