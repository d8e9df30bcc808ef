"""`flask verify` says what differs, and --repair mends exactly that."""

import re

from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.orders.order import STATE_SHAPE
from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS, SUMS
from tests.support.damage import DETAILS, ITEMS, SUMMARY, damage_columns, damage_rows, shipped
from tests.support.examples import ORDER_ID
from tests.support.failing import AT_ONCE
from tests.support.read_side import TABLES, append_placed, place_many, rows, run, store

WRONG = f"UPDATE {SUMMARY} SET customer_name = 'wrong' WHERE order_id LIKE "


def verify(runner: FlaskCliRunner, *args: str) -> Result:
    return runner.invoke(args=["verify", *args])


def summed_up(result: Result) -> tuple[int, ...]:
    """Rows checked, orders that differ, places, rows behind."""
    last = result.output.splitlines()[-1]
    line = r"(\d+) rows checked, (\d+) differ in (\d+) places, (\d+) not brought up to date yet, [\d,]+ rows/s"
    matched = re.fullmatch(line, last)
    assert matched, last
    return tuple(map(int, matched.groups()))


def of_rows(result: Result) -> list[str]:
    """The lines that are not of sums, which count what a row says."""
    return [line for line in result.output.splitlines() if not line.startswith(tuple(f"{name}: " for name in SUMS))]


def written_by(sessions: sessionmaker[Session]) -> dict[tuple[str, ...], str]:
    """The transaction that has written each row."""
    with sessions.begin() as session:
        return {
            (table, *map(str, row[1:])): row.xmin
            for table, key in TABLES.items()
            for row in session.execute(text(f"SELECT xmin::text, {key} FROM {table}"))
        }


def test_right_rows_are_no_fault(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    append_placed(sessions, "ORDER-003")

    result = verify(runner)

    assert (result.exit_code, summed_up(result)) == (0, (2 * len(PROJECTORS), 0, 0, len(PROJECTORS)))
    assert len(result.output.splitlines()) == 1


def test_nothing_is_no_fault(runner: FlaskCliRunner) -> None:
    result = verify(runner)

    assert (result.exit_code, summed_up(result)) == (0, (0, 0, 0, 0))


def test_a_difference_is_a_line_and_exit_status_1(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    run(sessions, WRONG + f"'{ORDER_ID}'")
    before = written_by(sessions)

    result = verify(runner)

    assert result.exit_code == 1
    assert result.output.splitlines()[0] == f"summary: {ORDER_ID} customer_name: stored wrong, events say 山田太郎"
    assert summed_up(result) == (2 * len(PROJECTORS), 1, 1, 0)
    assert written_by(sessions) == before


def test_a_named_read_model_is_verified_alone(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID)
    run(sessions, WRONG + f"'{ORDER_ID}'")

    assert (verify(runner, "details").exit_code, verify(runner, "summary").exit_code) == (0, 1)
    assert summed_up(verify(runner, "details")) == (1, 0, 0, 0)
    assert verify(runner, "summary", "details").exit_code == 1
    assert verify(runner, "invoices").exit_code == 2


def test_a_sample_is_verified_alone(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(10)))
    run(sessions, WRONG + "'%'")

    result = verify(runner, "--sample", "3", "summary")

    assert (result.exit_code, summed_up(result)) == (1, (3, 3, 3, 0))
    assert verify(runner, "--sample", "0").exit_code == 2


def test_a_sample_leaves_out_sums_and_snapshots_and_says_so(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    shipped(sessions, ORDER_ID)
    run(
        sessions,
        "UPDATE order_statistics SET orders = 77",
        f"INSERT INTO order_snapshots VALUES ('{ORDER_ID}', 1, {STATE_SHAPE}, now(), '{{}}')",
    )

    assert verify(runner).exit_code == 1
    result = verify(runner, "--sample", "1", "--repair")

    assert (result.exit_code, summed_up(result)) == (0, (len(PROJECTORS), 0, 0, 0))
    assert result.output.startswith("A sample of orders: sums and snapshots are not compared.\n")
    assert {"statistics", "snapshots"} <= {line.split(":")[0] for line in verify(runner).output.splitlines()}


def test_repair_mends_whatever_differs_and_writes_no_other_row(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    shipped(sessions, *(f"ORDER-{number:03}" for number in range(10)))
    run(sessions, f"CREATE TABLE untouched AS SELECT order_id FROM {SUMMARY}")
    said = damage_rows(sessions) | damage_columns(sessions)
    before = written_by(sessions)
    damaged = {(projector, order_id) for projector, order_id, *_ in said}

    result = verify(runner, "--repair")

    assert result.exit_code == 0, result.output
    assert f"{len(damaged)} rows repaired" in result.output.splitlines()
    assert "events say" in result.output.splitlines()[0]
    assert verify(runner).exit_code == 0
    after = written_by(sessions)
    rewritten = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {(projector_of(table), order_id) for table, order_id, *_ in rewritten} == damaged


def projector_of(table: str) -> str:
    return {SUMMARY: "summary", DETAILS: "details", ITEMS: "details"}[table]


def test_repair_brings_the_very_rows_back(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID, "ORDER-002")
    right = rows(sessions)
    run(sessions, WRONG + f"'{ORDER_ID}'", f"DELETE FROM {ITEMS} WHERE version = 2", f"DELETE FROM {DETAILS}")

    assert verify(runner, "--repair").exit_code == 0

    assert rows(sessions) == right


def test_repair_of_a_named_read_model_leaves_the_other(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID)
    run(sessions, WRONG + "'%'", f"UPDATE {DETAILS} SET items_total = 1")

    assert verify(runner, "--repair", "summary").exit_code == 0

    assert summed_up(verify(runner)) == (len(PROJECTORS), 1, 1, 0)


def test_repair_does_not_help_the_log(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    shipped(sessions, ORDER_ID)
    store(sessions, ORDER_ID, 6, "OrderLost")
    store(sessions, ORDER_ID, 7, "OrderLost")
    store(sessions, ORDER_ID, 9, "OrderLost")
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector, AT_ONCE)

    for result in (verify(runner), verify(runner, "--repair")):
        assert result.exit_code == 1
        assert result.output.splitlines()[-2] == (
            f"log: {ORDER_ID} version 6: UnknownEventType:"
            " This release cannot read events of type 'OrderLost', schema version 1."
        )
        assert summed_up(result) == (len(PROJECTORS), 0, 0, 0)


def test_many_differences_are_counted_and_the_first_are_shown(
    sessions: sessionmaker[Session], runner: FlaskCliRunner
) -> None:
    place_many(sessions, 1500)
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)
    run(sessions, WRONG + "'%'")
    for number in range(30):
        store(sessions, f"LOST-{number:03}", 1, "OrderLost")

    result = verify(runner)

    lines = of_rows(result)
    assert result.exit_code == 1
    assert [sum(line.startswith(start) for line in lines) for start in ("summary: ", "log: LOST-")] == [20, 20]
    assert "… and 1480 more differences" in lines
    assert "log: … and 10 more orders" in lines
    assert summed_up(result) == (1500 * len(PROJECTORS), 1500, 1500, 0)
    assert len(lines) == 43


def test_a_row_among_thousands_is_found_and_repaired(sessions: sessionmaker[Session], runner: FlaskCliRunner) -> None:
    place_many(sessions, 3000)
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)
    run(sessions, WRONG + "'FILL-1777'")

    found = verify(runner)
    repaired = verify(runner, "--repair")

    assert (found.exit_code, summed_up(found)) == (1, (3000 * len(PROJECTORS), 1, 1, 0))
    assert found.output.startswith("summary: FILL-1777 customer_name: stored wrong, events say 山田太郎\n")
    assert (repaired.exit_code, summed_up(repaired)) == (0, (3000 * len(PROJECTORS), 0, 0, 0))
    assert of_rows(repaired)[:2] == [of_rows(found)[0], "1 rows repaired"]
