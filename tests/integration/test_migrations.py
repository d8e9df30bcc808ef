"""The migrations make what the models say, from nothing, and never drop the log."""

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.database import metadata
from core.projection.sums import FEW
from tests.support.calls import order_after, read
from tests.support.read_side import place_many, project_all, run, value


def test_models_and_migrations_are_equal(app: Flask) -> None:
    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 0


def test_the_migrations_make_every_table(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        tables = set(session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars())

    assert tables == set(metadata.tables) | {"alembic_version"}


def test_every_table_can_be_published(sessions: sessionmaker[Session]) -> None:
    """Other tools may publish all tables; UPDATE and DELETE then fail in one without a key to tell its rows apart."""
    without_key = text("""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relreplident IN ('d', 'n')
          AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)
    """)
    with sessions.begin() as session:
        assert session.execute(without_key).scalars().all() == []


def test_all_works_while_every_table_is_published(app: Flask, sessions: sessionmaker[Session]) -> None:
    """As a tool that captures changes does it."""
    run(sessions, "CREATE PUBLICATION everything FOR ALL TABLES")
    client, invoke = app.test_client(), app.test_cli_runner().invoke
    order_id = order_after(client, "add_item", "confirm_order", "ship_order")
    place_many(sessions, FEW + 1)
    for number in range(FEW + 1):
        project_all(sessions, f"FILL-{number + 1}")  # changes that are worth folding

    for command in ("catch-up", "rebuild", "verify", "verify --repair"):
        ran = invoke(args=command.split())
        assert ran.exit_code == 0, (command, ran.output)

    assert read(client.get(f"/orders/{order_id}"))["status"] == "shipped"
    assert value(sessions, "SELECT count(*) FROM order_statistics WHERE NOT folded") == 0


def test_one_sequence_can_be_behind_and_readiness_looks_at_it(sessions: sessionmaker[Session]) -> None:
    """After a logical switch-over all are, and what takes numbers that are taken fails."""
    with sessions.begin() as session:
        numbered = session.execute(text("SELECT relname FROM pg_class WHERE relkind = 'S'")).scalars().all()
        assert numbered == ["events_position_seq"]


def test_a_difference_between_models_and_migrations_is_noticed(app: Flask, sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        session.execute(text("ALTER TABLE order_summary_read_models ADD COLUMN forgotten text"))

    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 1


def test_the_read_models_can_be_dropped_and_made_again(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="0001")
        upgrade()

    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 0


def test_the_log_is_never_dropped(app: Flask, sessions: sessionmaker[Session]) -> None:
    with app.app_context(), pytest.raises(SystemExit):
        downgrade(revision="base")

    with sessions.begin() as session:
        assert session.execute(text("SELECT count(*) FROM events")).scalar() == 0
