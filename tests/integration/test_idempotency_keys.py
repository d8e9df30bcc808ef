"""The keys as they are stored: apart by owner, and deleted when they have expired."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from core.event_sourcing.event_store import NewEvent
from core.event_sourcing.postgres_store import stores
from core.idempotency import IdempotencyKey, KeyUsed, KeyUsedForAnotherRequest, Outcome, prune
from tests.support.examples import NOON, ORDER_ID, PLACED
from tests.support.read_side import run, value
from worker import tasks
from worker.app import app
from worker.settings import settings


def key(owner: str, request: bytes = b"request", hours: int = 24) -> IdempotencyKey:
    return IdempotencyKey(owner=owner, key="key", request_hash=request, lifetime=timedelta(hours=hours))


def remember(sessions: sessionmaker[Session], idempotency_key: IdempotencyKey, order_id: str = ORDER_ID) -> Outcome:
    """With the placing of this order."""
    with stores(sessions.kw["bind"])() as store:
        [recorded] = store.append(order_id, 0, [NewEvent(event=PLACED, occurred_at=NOON)], once=idempotency_key)
    return Outcome(order_id, 1, recorded.position)


def outcome(sessions: sessionmaker[Session], idempotency_key: IdempotencyKey) -> Outcome | None:
    with stores(sessions.kw["bind"])() as store:
        return store.outcome(idempotency_key)


def test_keys_of_different_owners_do_not_meet(sessions: sessionmaker[Session]) -> None:
    one = remember(sessions, key("one"))

    assert outcome(sessions, key("one")) == one
    assert outcome(sessions, key("other", b"something else")) is None

    other = remember(sessions, key("other", b"something else"), "ORDER-002")
    assert outcome(sessions, key("one")) == one
    assert outcome(sessions, key("other", b"something else")) == other != one


def test_a_key_is_remembered_once(sessions: sessionmaker[Session]) -> None:
    first = remember(sessions, key("one"))

    for request in (b"request", b"something else"):
        with pytest.raises(KeyUsed):
            remember(sessions, key("one", request), "ORDER-002")

    assert outcome(sessions, key("one")) == first
    assert value(sessions, "SELECT count(*) FROM events") == 1
    with pytest.raises(KeyUsedForAnotherRequest):
        outcome(sessions, key("one", b"something else"))


def test_a_key_is_free_again_when_it_has_expired_and_not_before(sessions: sessionmaker[Session]) -> None:
    remember(sessions, key("one"))
    remember(sessions, key("other"), "ORDER-002")

    for hours, expired in ((24, False), (1, True)):
        run(sessions, "UPDATE idempotency_keys SET created_at = now() - interval '2 hours'")
        assert (outcome(sessions, key("one", hours=hours)) is None) is expired
        assert (value(sessions, "SELECT count(*) FROM idempotency_keys WHERE owner = 'one'") == 0) is expired

    assert remember(sessions, key("one"), "ORDER-003") == outcome(sessions, key("one"))
    assert value(sessions, "SELECT count(*) FROM idempotency_keys WHERE owner = 'other'") == 1


def test_expired_keys_are_deleted_and_no_others(sessions: sessionmaker[Session]) -> None:
    for owner, minutes in (("young", 0), ("nearly", 119), ("old", 121)):
        remember(sessions, key(owner), f"ORDER-{owner}")
        created = f"created_at = now() - interval '{minutes} minutes'"
        run(sessions, f"UPDATE idempotency_keys SET {created} WHERE owner = '{owner}'")

    with sessions.begin() as session:
        assert prune(session, timedelta(hours=2)) == 1

    assert value(sessions, "SELECT array_agg(owner ORDER BY owner) FROM idempotency_keys") == ["nearly", "young"]


def test_the_task_keeps_keys_for_as_long_as_the_setting_says(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("IDEMPOTENCY_HOURS", "2")
    remember(sessions, key("one"))
    run(sessions, "UPDATE idempotency_keys SET created_at = now() - interval '121 minutes'")

    settings.cache_clear()
    tasks.process.cache_clear()
    tasks.prune_idempotency_keys()
    tasks.process().hints.finish()
    tasks.process().sessions.kw["bind"].dispose()
    settings.cache_clear()
    tasks.process.cache_clear()

    assert value(sessions, "SELECT count(*) FROM idempotency_keys") == 0


def test_beat_sends_the_task(database_url: str) -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert tasks.prune_idempotency_keys.name in scheduled
