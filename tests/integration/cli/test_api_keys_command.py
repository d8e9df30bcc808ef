"""`flask api-keys`: made and shown once, listed without secrets, revoked for good."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core import api_keys
from core.api_keys import RevokedKey, UnknownKey

KEY = re.compile(r"ol_([0-9a-f]{16})_([0-9a-f]{64})\n")
NOW = datetime.now(UTC)


def create(runner: FlaskCliRunner, *options: str) -> str:
    made = runner.invoke(args=["api-keys", "create", "shop", *options])
    assert made.exit_code == 0, made.output
    assert KEY.fullmatch(made.stdout)
    return made.stdout.strip()


def listed(runner: FlaskCliRunner) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(runner.invoke(args=["api-keys", "list", "--json"]).stdout)
    return found


def test_a_made_key_is_good_for_what_was_asked(runner: FlaskCliRunner, sessions: sessionmaker[Session]) -> None:
    key = create(runner, "--scope", "orders:write", "--scope", "orders:read", "--expires-in-days", "7")

    with sessions.begin() as session:
        found = api_keys.authenticate(session, key, now=NOW)
    assert (found.name, sorted(found.scopes)) == ("shop", ["orders:read", "orders:write"])
    assert found.expires_at is not None
    assert timedelta(days=6.9) < found.expires_at - NOW < timedelta(days=7.1)


def test_the_secret_is_neither_stored_nor_listed(runner: FlaskCliRunner, sessions: sessionmaker[Session]) -> None:
    secret = create(runner, "--scope", "orders:read").split("_")[2]

    with sessions.begin() as session:
        stored = str(session.execute(text("SELECT api_keys::text FROM api_keys")).scalar_one())
    for shown in (stored, runner.invoke(args=["api-keys", "list"]).output, str(listed(runner))):
        assert secret not in shown
        assert "shop" in shown


def test_two_keys_of_one_name_have_different_ids_and_secrets(runner: FlaskCliRunner) -> None:
    one, other = (create(runner, "--scope", "orders:read").split("_") for _ in range(2))

    assert one[1] != other[1]
    assert one[2] != other[2]
    assert [key["name"] for key in listed(runner)] == ["shop", "shop"]


def test_a_revoked_key_stays_revoked_since_then(runner: FlaskCliRunner, sessions: sessionmaker[Session]) -> None:
    key = create(runner, "--scope", "orders:read")
    key_id = key.split("_")[1]

    revoked = [runner.invoke(args=["api-keys", "revoke", key_id]).exit_code for _ in range(2)]

    assert revoked == [0, 0]
    assert listed(runner)[0]["revoked_at"] is not None
    assert "revoked" in runner.invoke(args=["api-keys", "list"]).output
    with sessions.begin() as session, pytest.raises(RevokedKey):
        api_keys.authenticate(session, key, now=NOW)


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "shop"],
        ["create", "shop", "--scope", "everything"],
        ["create", "shop", "--scope", "orders:read", "--expires-in-days", "0"],
        ["create", " ", "--scope", "orders:read"],
        ["create", "anonymous", "--scope", "orders:read"],
        ["create", "a\nb", "--scope", "orders:read"],
        ["create", "x" * 101, "--scope", "orders:read"],
        ["revoke", "0000000000000000"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_what_makes_no_sense_is_refused(runner: FlaskCliRunner, arguments: list[str]) -> None:
    refused = runner.invoke(args=["api-keys", *arguments])

    assert refused.exit_code != 0
    assert "Error: " in refused.output
    assert listed(runner) == []


def test_no_key_is_said_in_words(runner: FlaskCliRunner, sessions: sessionmaker[Session]) -> None:
    assert runner.invoke(args=["api-keys", "list"]).output == "There is no key.\n"
    with sessions.begin() as session, pytest.raises(UnknownKey):
        api_keys.authenticate(session, f"ol_{'0' * 16}_{'0' * 64}", now=NOW)
