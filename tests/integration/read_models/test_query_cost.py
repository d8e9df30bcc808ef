"""What each query of the API reads follows what it answers, not the number of orders."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from tests.support.cost import pages_read
from tests.support.examples import NOON
from tests.support.read_side import run
from webapp.api.operation import QUERIES, Operation
from webapp.contract.document import document
from webapp.operations import OPERATIONS

CONTRACT = document(OPERATIONS)
QUERY_OPERATIONS = [operation for operation in OPERATIONS if operation.tag == QUERIES]

FEW, MANY = 300, 30_000
EXCLUSIVE = {"version", "min_version", "as_of"}  # of one order; no two may be combined
LITTLE_MORE = 10  # pages; an index grows by a level or two
HALF_AS_MUCH = 1.5  # does what looks up each row of its page in an index

# What reads more when there is more.
COSTS_MORE = {
    ("show_statistics", "as_of"): "counts whatever was placed by then, which nobody has summed up",
    ("show_statistics", "min_position", "as_of"): "the same",
}

# The oldest are of the customer, the amount and the state that the examples name, so that only the right index finds
# them soon.
OLDEST = 200
EVENTS = f"""
    INSERT INTO events (aggregate_id, aggregate_type, version, event_type, event_data, metadata, occurred_at)
    SELECT 'ORDER-' || n, 'Order', version, event_type, data || jsonb_build_object('order_id', 'ORDER-' || n),
           jsonb_build_object('schema_version', 1), at
    FROM (SELECT n, timestamptz '{NOON.isoformat()}' + n * interval '1 minute' AS at
          FROM generate_series({{first}}, {{last}}) AS n) AS placed,
         LATERAL (VALUES
            (1, 'OrderPlaced', jsonb_build_object(
                'customer_name', CASE WHEN n > {OLDEST} THEN '佐藤花子' ELSE '山田太郎' END,
                'total_amount', CASE WHEN n > {OLDEST} THEN '100.00' ELSE '80000.00' END, 'placed_at', at)),
            (2, 'OrderConfirmed', jsonb_build_object('confirmed_at', at))) AS event (version, event_type, data)
    WHERE n > {OLDEST} OR version = 1
    ORDER BY n, version
"""


def show_orders(sessions: sessionmaker[Session], first: int, last: int) -> None:
    """So many orders in the log, and in every read model."""
    run(sessions, EVENTS.format(first=first, last=last))
    for name, model in PROJECTORS.items():
        for _ in range(2):  # the first leaves its rows at the end of a table, behind all that it has deleted
            catch_up(sessions, name, model)
            with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")


def tries(operation: Operation) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each parameter that may be left out, and each pair of them, with a path that has their examples; first none."""
    described = CONTRACT["paths"][operation.path][operation.method]["parameters"]
    in_query = [each for each in described if each.get("in") == "query" and "example" in each]
    required = {each["name"]: each["example"] for each in in_query if each["required"]}
    optional = {each["name"]: each["example"] for each in in_query if not each["required"]}
    path = operation.path.format(order_id=f"ORDER-{FEW}", status="pending")
    for number in range(3):
        for names in combinations(optional, number):
            yield names, f"{path}?{urlencode({**required, **{name: optional[name] for name in names}})}"


def costs(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], int]:
    """The pages that each query reads, by operation and parameters."""
    found: dict[tuple[str, ...], int] = {}
    for operation in QUERY_OPERATIONS:
        for names, path in tries(operation):
            if EXCLUSIVE.issuperset(names) and len(names) > 1:
                continue
            found[operation.name, *names], answer = cost(client, path, monkeypatch)
            if answer.get("next_cursor"):
                following = f"{path}&{urlencode({'cursor': answer['next_cursor']})}"
                found[operation.name, *names, "cursor"], _ = cost(client, following, monkeypatch)
    return found


def cost(client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Any]:
    with pages_read(monkeypatch) as pages:
        answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    assert pages, path
    return sum(pages), answer.get_json()


def may_read(query: tuple[str, ...], few: int) -> int:
    """Pages, of many orders. To find two things at once, all of the fewer may be read and sorted."""
    of_two = OLDEST if len(query) > 2 else 0
    return of_two + max(few + LITTLE_MORE, int(few * HALF_AS_MUCH))


def test_a_hundred_times_the_orders_cost_a_query_no_more(
    client: FlaskClient, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_orders(sessions, 1, FEW)
    few = costs(client, monkeypatch)
    show_orders(sessions, FEW + 1, MANY)

    many = costs(client, monkeypatch)

    more = {query for query, pages in many.items() if pages > may_read(query, few[query])}
    assert more == COSTS_MORE.keys(), (few, many)
