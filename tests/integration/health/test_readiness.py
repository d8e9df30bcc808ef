"""Readiness says when nobody looks for lost hints any more, or nobody ever has."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import downgrade
from sqlalchemy.orm import Session, sessionmaker

from core.projection.catch_up import catch_up
from core.read_models.wiring import PROJECTORS
from tests.support.read_side import run
from webapp.health.readiness import CATCH_UP_OVERDUE


def readiness(client: FlaskClient) -> Any:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    return answer.get_json()


def catch_up_with_all(sessions: sessionmaker[Session]) -> None:
    for name, projector in PROJECTORS.items():
        catch_up(sessions, name, projector)


def age(sessions: sessionmaker[Session], seconds: int, projectors: str = "%") -> None:
    """Let the last catch-up of these projectors have been so long ago."""
    checked = f"checked_at = now() - interval '{seconds} seconds'"
    run(sessions, f"UPDATE projector_checkpoints SET {checked} WHERE projector LIKE '{projectors}'")


def test_it_is_ready_while_catch_up_comes_by(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    age(sessions, CATCH_UP_OVERDUE - 5)

    assert readiness(client) == {"status": "ready", "checks": {"postgresql": "ok", "redis": "ok", "catch_up": "ok"}}


@pytest.mark.parametrize("projectors", ["%", *PROJECTORS])
def test_it_is_degraded_when_catch_up_is_overdue(
    sessions: sessionmaker[Session], client: FlaskClient, projectors: str
) -> None:
    catch_up_with_all(sessions)
    age(sessions, 3600, projectors)

    said = readiness(client)

    assert said["status"] == "degraded"
    assert said["checks"]["postgresql"] == said["checks"]["redis"] == "ok"
    assert re.fullmatch(
        r"catch-up last came by 36\d\d s ago; see that beat and a worker run", said["checks"]["catch_up"]
    )


def test_it_stays_ready_when_a_later_release_has_migrated(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    run(sessions, "UPDATE alembic_version SET version_num = 'of a later release'")

    assert readiness(client)["status"] == "ready"


def test_it_is_degraded_before_the_first_catch_up(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    assert readiness(client)["status"] == "degraded"
    assert readiness(client)["checks"]["catch_up"] == "catch-up has never come by; see that beat and a worker run"


def test_every_projector_counts(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up(sessions, "summary", PROJECTORS["summary"])

    assert readiness(client)["checks"]["catch_up"].startswith("catch-up has never come by")


def test_it_is_ready_again_when_catch_up_comes_back(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    age(sessions, 3600)
    assert readiness(client)["status"] == "degraded"

    catch_up_with_all(sessions)

    assert readiness(client)["status"] == "ready"


def test_a_read_model_that_is_no_more_does_not_count(sessions: sessionmaker[Session], client: FlaskClient) -> None:
    catch_up_with_all(sessions)
    catch_up(sessions, "former", PROJECTORS["summary"])
    age(sessions, 3600, "former")

    assert readiness(client)["status"] == "ready"


def test_before_the_migration_that_it_reads_from_it_says_to_migrate(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        downgrade(revision="0002")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.get_json()["checks"]["postgresql"].endswith("run `flask db upgrade`")
