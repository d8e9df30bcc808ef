"""The list and the statistics as of any time equal a replay of the log up to that time."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import RecordedEvent
from core.event_sourcing.postgres_store import recorded
from core.event_sourcing.streams import IdRange, read_streams
from core.orders.commands import CancelOrder, OrderCommand, PlaceOrder
from core.orders.errors import OrderError
from core.projection.project import fold
from core.read_models.header import OrderHeader, header_fields
from core.read_models.summary import SummaryReadModel
from tests.support.calls import read, show_everything
from tests.support.examples import CONFIRMED, LAPTOP_ADDED, NOON, PLACED
from tests.support.lives import EVERY_COMMAND
from tests.support.streams import append, handle

SEED = 20260101
ORDERS = 30
COMMANDS = 350
MINUTES = 60  # few, so that orders share times
CUSTOMERS = ["山田太郎", "佐藤花子"]


def random_command(chance: random.Random) -> OrderCommand:
    weights = [1 if isinstance(command, CancelOrder) else 4 for command in EVERY_COMMAND]
    [example] = chance.choices(EVERY_COMMAND, weights)
    command = replace(example, order_id=f"ORDER-{chance.randrange(ORDERS):03}")
    if isinstance(command, PlaceOrder):
        return replace(command, customer_name=chance.choice(CUSTOMERS), total_amount=chance.randint(1, 1000))
    return command


@pytest.fixture
def log(sessions: sessionmaker[Session]) -> list[RecordedEvent]:
    """Random orders by random commands, whose clocks differ by up to twenty minutes; all projected."""
    chance = random.Random(SEED)
    for number in range(COMMANDS):
        at = NOON + timedelta(minutes=number * MINUTES // COMMANDS + chance.randint(-10, 10))
        with suppress(OrderError):
            handle(sessions, random_command(chance), at=at)
    show_everything(sessions)
    with sessions.begin() as session:
        return [recorded(row) for row in read_streams(session, IdRange())]


def moments() -> list[datetime]:
    exact = [NOON + timedelta(minutes=minute) for minute in range(0, MINUTES, 7)]
    return [*exact, NOON + timedelta(minutes=20, seconds=30), NOON + timedelta(days=1)]


def replayed(log: list[RecordedEvent], moment: datetime) -> list[OrderHeader]:
    """The list as the log alone says it was, newest placed first."""
    rows = fold(SummaryReadModel(), [each for each in log if each.occurred_at <= moment]).values()
    return sorted(rows, key=lambda row: (row.placed_at, row.order_id), reverse=True)


def as_shown(row: OrderHeader) -> dict[str, Any]:
    return {
        name: shown.isoformat().replace("+00:00", "Z") if isinstance(shown, datetime) else shown
        for name, shown in header_fields(row).items()
    }


def pages(client: FlaskClient, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
    while True:
        page = read(client.get(f"{path}?{urlencode(parameters)}"))
        yield from page["orders"]
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]


def test_the_log_is_worth_testing_with(log: list[RecordedEvent]) -> None:
    rows = fold(SummaryReadModel(), log).values()

    assert {row.status for row in rows} == {"pending", "confirmed", "shipped", "cancelled"}
    assert any(row.cancelled_at and row.confirmed_at for row in rows)
    assert any(row.cancelled_at and not row.confirmed_at for row in rows)
    assert any(row.shipped_at and row.placed_at < row.confirmed_at < row.shipped_at for row in rows if row.confirmed_at)


def test_the_list_of_any_time_is_a_replay_up_to_then(client: FlaskClient, log: list[RecordedEvent]) -> None:
    for moment in moments():
        expected = [as_shown(row) for row in replayed(log, moment)]
        assert list(pages(client, "/orders", as_of=moment.isoformat(), limit="7")) == expected, moment

    assert list(pages(client, "/orders")) == expected
    assert read(client.get("/orders?as_of=2020-01-01T00:00:00Z"))["orders"] == []


def test_a_row_that_lags_has_the_version_of_what_it_shows(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, [PLACED, LAPTOP_ADDED])
    show_everything(sessions)
    append(sessions, [CONFIRMED], after=2)
    path = f"/orders?as_of={(NOON + timedelta(days=1)).isoformat().replace('+', '%2B')}"

    for status, version in [("pending", 2), ("confirmed", 3)]:
        [row] = read(client.get(path))["orders"]
        assert (row["status"], row["version"]) == (status, version)
        show_everything(sessions)


def test_filters_are_about_the_orders_as_they_were(client: FlaskClient, log: list[RecordedEvent]) -> None:
    for moment in moments():
        rows, as_of = replayed(log, moment), moment.isoformat()
        for status in ("pending", "confirmed", "shipped", "cancelled"):
            expected = [as_shown(row) for row in rows if row.status == status]
            assert list(pages(client, f"/orders/status/{status}", as_of=as_of, limit="3")) == expected, status
            assert list(pages(client, "/orders", status=status, as_of=as_of)) == expected, status
        placed_from = NOON + timedelta(minutes=10)
        chosen = {"customer_name": CUSTOMERS[0], "min_total_amount": "300", "placed_from": placed_from.isoformat()}
        assert list(pages(client, "/orders", as_of=as_of, limit="2", **chosen)) == [
            as_shown(row)
            for row in rows
            if row.customer_name == CUSTOMERS[0] and row.total_amount >= 300 and row.placed_at >= placed_from
        ]


def test_the_statistics_of_any_time_are_a_replay_up_to_then(client: FlaskClient, log: list[RecordedEvent]) -> None:
    for moment in moments():
        rows = replayed(log, moment)
        counts = {
            f"{status}_count": sum(row.status == status for row in rows)
            for status in ("pending", "confirmed", "shipped", "cancelled")
        }
        answer = read(client.get(f"/orders/statistics?{urlencode({'as_of': moment.isoformat()})}"))
        assert answer == {
            "total_count": len(rows),
            **counts,
            "total_revenue": sum(row.total_amount for row in rows if row.status == "shipped"),
        }, moment

    assert answer == read(client.get("/orders/statistics"))
    nothing = client.get("/orders/statistics?as_of=2020-01-01T00:00:00Z")
    assert set(read(nothing).values()) == {0}
    assert '"total_revenue": 0.00}' in nothing.text
