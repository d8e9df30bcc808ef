"""What may happen to rows by hand or by a bug, and what verify then has to say of it."""

from collections.abc import Iterator

from sqlalchemy import Column, DateTime, Integer, Numeric, Text

from core.projection.catch_up import catch_up
from core.read_models.details import order_details, order_items
from core.read_models.summary import order_summaries
from core.read_models.wiring import PROJECTORS
from tests.support.examples import LIFE
from tests.support.read_side import Sessions, run, value
from tests.support.streams import append

Said = tuple[str, str, str, str]  # projector, field, stored, expected

SHIPPING = "status, shipped_at, tracking_number"
SUMMARY, DETAILS, ITEMS = order_summaries.name, order_details.name, order_items.name

MICE = {"version": "3", "product_name": "マウス", "quantity": "2", "unit_price": "1500.00", "subtotal": "3000.00"}

# Each is done to an order of its own with the events of LIFE: placed, two items added, confirmed, shipped.
ROWS: list[tuple[str, list[Said]]] = [
    (f"DELETE FROM {SUMMARY} WHERE order_id = '{{}}'", [("summary", "row", "none", "there is one")]),
    (f"DELETE FROM {DETAILS} WHERE order_id = '{{}}'", [("details", "row", "none", "there is one")]),
    (
        f"WITH header AS (DELETE FROM {DETAILS} WHERE order_id = '{{0}}') DELETE FROM {ITEMS} WHERE order_id = '{{0}}'",
        [("details", "row", "none", "there is one")],
    ),
    (
        f"DELETE FROM {ITEMS} WHERE order_id = '{{}}' AND version = 3",
        [
            ("details", f"{ITEMS}.3.version", "None", "3"),
            ("details", f"{ITEMS}.3.product_name", "None", "マウス"),
            ("details", f"{ITEMS}.3.quantity", "None", "2"),
            ("details", f"{ITEMS}.3.unit_price", "None", "1500.00"),
            ("details", f"{ITEMS}.3.subtotal", "None", "3000.00"),
        ],
    ),
    (
        f"INSERT INTO {ITEMS} VALUES ('{{}}', 9, 'ghost', 1, 2, 2)",
        [
            ("details", f"{ITEMS}.9.version", "9", "None"),
            ("details", f"{ITEMS}.9.product_name", "ghost", "None"),
            ("details", f"{ITEMS}.9.quantity", "1", "None"),
            ("details", f"{ITEMS}.9.unit_price", "2.00", "None"),
            ("details", f"{ITEMS}.9.subtotal", "2.00", "None"),
        ],
    ),
    (
        f"UPDATE {ITEMS} SET version = 77 WHERE order_id = '{{}}' AND version = 3",
        [
            ("details", f"{ITEMS}.{version}.{field}", *said)
            for field, value in MICE.items()
            for version, said in ((77, (value, "None")), (3, ("None", value)))
            if field != "version"
        ]
        + [("details", f"{ITEMS}.77.version", "77", "None"), ("details", f"{ITEMS}.3.version", "None", "3")],
    ),
    # As it was before the last event, which catch-up has passed.
    (
        f"UPDATE {DETAILS} SET ({SHIPPING}, version) = ('confirmed', NULL, NULL, 4) WHERE order_id = '{{}}'",
        [
            ("details", "version", "4", "5"),
            ("details", "status", "confirmed", "shipped"),
            ("details", "shipped_at", "None", "2026-01-01 12:04:00+00:00"),
            ("details", "tracking_number", "None", "TRACK-12345678"),
        ],
    ),
    # As it never was.
    (
        f"UPDATE {SUMMARY} SET version = 4 WHERE order_id = '{{}}'",
        [
            ("summary", "status", "shipped", "confirmed"),
            ("summary", "shipped_at", "2026-01-01 12:04:00+00:00", "None"),
            ("summary", "tracking_number", "TRACK-12345678", "None"),
        ],
    ),
    (
        f"UPDATE {SUMMARY} SET version = 0 WHERE order_id = '{{}}'",
        [("summary", "row", "there is one", "none")],
    ),
]

HEADER = "customer_name, status, total_amount, placed_at, version"
GHOST = "'ghost', 'pending', 1, now(), 1"
STRAYS = [
    f"INSERT INTO {SUMMARY} (order_id, {HEADER}) VALUES ('A-STRAY', {GHOST})",
    f"INSERT INTO {DETAILS} (order_id, {HEADER}, items_total) VALUES ('Z-STRAY', {GHOST}, 0)",
    f"INSERT INTO {ITEMS} VALUES ('M-STRAY', 2, 'ghost', 1, 1, 1)",
]
SAID_OF_STRAYS = {
    ("summary", "A-STRAY", "row", "there is one", "none"),
    ("details", "Z-STRAY", "row", "there is one", "none"),
    ("details", "M-STRAY", "row", "there is one", "none"),
}

# Another value for a column, as SQL and as it is read.
OTHER = {
    Text: ("'wrong'", "wrong"),
    Numeric: ("77", "77.00"),
    DateTime: ("'2000-01-01'", "2000-01-01 00:00:00+00:00"),
    Integer: ("77", "77"),
}


def columns() -> Iterator[tuple[str, str, Column[object], str]]:
    """Every column that verify compares: projector, field, column and which rows to damage."""
    for column in order_summaries.columns:
        yield "summary", column.name, column, ""
    for column in order_details.columns:
        yield "details", column.name, column, ""
    for column in order_items.columns:
        if column.name != "version":  # by which an item is known: see ROWS
            yield "details", f"{ITEMS}.3.{column.name}", column, " AND version = 3"


def shipped(sessions: Sessions, *order_ids: str) -> None:
    """Orders with the events of LIFE, caught up with."""
    for order_id in order_ids:
        append(sessions, LIFE, order_id=order_id)
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)


def damage_rows(sessions: Sessions) -> set[tuple[str, str, str, str, str]]:
    """Returns what verify has to say: projector, order, field, stored, expected."""
    ids = [f"ROWS-{number:03}" for number in range(len(ROWS))]
    shipped(sessions, *ids)
    for order_id, (statement, _) in zip(ids, ROWS, strict=True):
        run(sessions, statement.format(order_id))
    run(sessions, *STRAYS)
    return SAID_OF_STRAYS | {
        (projector, order_id, field, stored, expected)
        for order_id, (_, all_said) in zip(ids, ROWS, strict=True)
        for projector, field, stored, expected in all_said
    }


def damage_columns(sessions: Sessions) -> set[tuple[str, str, str, str, str]]:
    """Returns the same."""
    damaged = [each for each in columns() if each[2].name != "order_id"]
    ids = [f"COLUMN-{number:03}" for number in range(len(damaged))]
    shipped(sessions, *ids)
    said = set()
    for order_id, (projector, field, column, which) in zip(ids, damaged, strict=True):
        table = column.table.description
        new, read = OTHER[type(column.type)]
        old = value(sessions, f"SELECT {column.name} FROM {table} WHERE order_id = '{order_id}'{which}")
        run(sessions, f"UPDATE {table} SET {column.name} = {new} WHERE order_id = '{order_id}'{which}")
        said.add((projector, order_id, field, read, str(old)))
    return said
