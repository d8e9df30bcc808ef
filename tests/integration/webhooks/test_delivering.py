"""What is in the log reaches every endpoint at least once, in order per order; one that fails delays no other."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session, sessionmaker
from standardwebhooks.webhooks import Webhook

from core.event_sourcing.feed import START
from core.webhooks import delivering, endpoints
from core.webhooks.delivering import AT_ONCE, FAILING_AT_ONCE, deliver, dispatch
from core.webhooks.sending import Answer, Sender
from tests.support.examples import CANCELLED, CONFIRMED, LAPTOP_ADDED, LIFE, MICE_ADDED, PLACED
from tests.support.read_side import append_placed, place_many, run, store, value
from tests.support.receiver import Behave, Receiver, answer, deliver_all
from tests.support.streams import append
from tests.support.waiting import wait_for_lock, wait_until

Sessions = sessionmaker[Session]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def listen(sessions: Sessions, receiver: Receiver, *types: str) -> str:
    """The id of a new endpoint, which begins at the end of the log."""
    with sessions.begin() as session:
        return str(endpoints.create(session, receiver.url, "", types, enabled=True)["id"])


def secret_of(sessions: Sessions, webhook_id: str) -> str:
    return str(value(sessions, f"SELECT secret FROM webhooks WHERE id = '{webhook_id}'"))


def let_time_pass(sessions: Sessions, hours: float = 100) -> None:
    """For what is written down of the orders: the next attempt is due."""
    past = f"- interval '{hours} hours'"
    run(
        sessions,
        f"UPDATE webhook_orders SET next_attempt_at = next_attempt_at {past}, failing_since = failing_since {past},"
        f" taken_until = taken_until {past}",
    )


def refuse_order(receiver: Receiver, order_id: str) -> Behave:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        answer(500 if receiver.got[-1].event["subject"] == order_id else 200)(handler)

    return behave


def test_every_event_after_the_endpoint_was_made_comes_in_order_and_signed(
    sessions: Sessions, receiver: Receiver
) -> None:
    append_placed(sessions, "BEFORE")
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    append_placed(sessions, "B")

    assert deliver_all(sessions) == 6

    assert receiver.versions == {"A": [1, 2, 3, 4, 5], "B": [1]}
    for got in receiver.got:
        verified = Webhook(secret_of(sessions, webhook_id)).verify(got.body, got.headers)
        assert verified["specversion"] == "1.0"
        assert got.headers["Content-Type"] == "application/cloudevents+json"
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 6
    assert value(sessions, "SELECT count(*) FROM webhook_orders") == 0
    assert value(sessions, "SELECT count(*) FROM webhook_deliveries WHERE status = 204 AND error IS NULL") == 6
    assert receiver.connections == 1
    assert deliver_all(sessions) == 0


def test_an_event_in_an_open_transaction_is_waited_for_and_not_passed(sessions: Sessions, receiver: Receiver) -> None:
    listen(sessions, receiver)
    with sessions() as open_session:
        open_session.execute(text("SELECT pg_current_xact_id()"))
        append_placed(sessions, "LATER")
        assert deliver_all(sessions) == 0
        open_session.rollback()
    assert deliver_all(sessions) == 1


def test_only_the_types_that_were_asked_for_come(sessions: Sessions, receiver: Receiver) -> None:
    listen(sessions, receiver, "OrderConfirmed", "OrderCancelled")
    append(sessions, [PLACED, LAPTOP_ADDED, MICE_ADDED, CONFIRMED], order_id="A")
    append(sessions, [PLACED, CANCELLED], order_id="B")
    append_placed(sessions, "C")

    assert deliver_all(sessions) == 2
    assert receiver.versions == {"A": [4], "B": [2]}


def test_types_that_nobody_wants_any_more_are_passed_over(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    dispatch(sessions)
    with sessions.begin() as session:
        endpoints.change(session, webhook_id, {"types": ["OrderShipped"]})

    assert deliver_all(sessions) == 1
    assert receiver.versions == {"A": [5]}


def test_an_order_that_fails_is_tried_again_from_where_it_stopped_and_delays_no_other(
    sessions: Sessions, receiver: Receiver
) -> None:
    listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    append(sessions, LIFE, order_id="B")
    receiver.behave = refuse_order(receiver, "A")

    deliver_all(sessions)

    assert receiver.versions == {"A": [1], "B": [1, 2, 3, 4, 5]}
    first = receiver.got[0].headers["webhook-id"]
    assert value(sessions, "SELECT error FROM webhook_orders") == "answered 500"
    assert deliver_all(sessions) == 0  # it is not due
    receiver.behave = answer(200)
    let_time_pass(sessions, 0.01)
    deliver_all(sessions)
    assert receiver.versions["A"] == [1, 1, 2, 3, 4, 5]
    assert receiver.got[6].headers["webhook-id"] == first
    assert value(sessions, "SELECT count(*) FROM webhook_orders") == 0


def test_an_order_that_fails_for_three_days_is_parked_until_somebody_retries(
    sessions: Sessions, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    receiver.behave = answer(503)
    deliver_all(sessions)
    let_time_pass(sessions, 71)
    deliver_all(sessions)
    assert "Parked" not in caplog.text

    let_time_pass(sessions)
    assert deliver_all(sessions) == 1
    assert f"Parked: webhook {webhook_id} does not take order A version 1." in caplog.text
    append(sessions, [LAPTOP_ADDED], order_id="A", after=1)
    let_time_pass(sessions)
    assert deliver_all(sessions) == 0

    receiver.behave = answer(200)
    with sessions.begin() as session:
        webhook = endpoints.find(session, webhook_id)
        assert (webhook["waiting"], webhook["failing"], webhook["parked"]) == (1, 0, 1)
        assert endpoints.retry(session, webhook_id) == 1
    assert deliver_all(sessions) == 2
    assert receiver.versions == {"A": [1, 1, 1, 1, 2]}


@pytest.mark.parametrize(("status", "least"), [(429, 7000), (503, 7000), (500, 0)])
def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(
    sessions: Sessions, receiver: Receiver, status: int, least: int
) -> None:
    listen(sessions, receiver)
    append_placed(sessions, "A")
    receiver.behave = answer(status, b"", **{"Retry-After": "7200"})
    deliver_all(sessions)
    pause = value(sessions, "SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_orders")
    assert least < pause < (7201 if least else 7)


def test_the_endpoint_that_answers_410_is_disabled_and_misses_nothing_when_it_is_enabled(
    sessions: Sessions, receiver: Receiver
) -> None:
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    receiver.behave = answer(410)
    deliver_all(sessions)
    with sessions.begin() as session:
        disabled = endpoints.find(session, webhook_id)
    assert not disabled["enabled"]
    assert disabled["disabled_because"] == "it answered 410 Gone"

    append_placed(sessions, "B")
    let_time_pass(sessions)
    assert deliver_all(sessions) == 0
    receiver.behave = answer(200)
    with sessions.begin() as session:
        assert endpoints.change(session, webhook_id, {"enabled": True})["disabled_because"] is None
    assert deliver_all(sessions) == 2
    assert receiver.versions == {"A": [1, 1], "B": [1]}


def test_a_late_410_of_an_old_url_does_not_disable_the_new_one(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")

    def move_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        receiver.behave = answer(204)
        with sessions.begin() as session:
            endpoints.change(session, webhook_id, {"url": f"{receiver.url}/new"})
        answer(410)(handler)

    receiver.behave = move_meanwhile
    deliver_all(sessions)
    let_time_pass(sessions, 0.01)
    deliver_all(sessions)
    assert [got.path for got in receiver.got] == ["/hook", "/hook/new"]


def test_after_rotations_all_secrets_sign_for_a_day(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    secrets = [secret_of(sessions, webhook_id)]
    for _ in range(2):
        with sessions.begin() as session:
            secrets.append(endpoints.rotate(session, webhook_id)["secret"])
    append_placed(sessions, "A")
    deliver_all(sessions)
    for secret in secrets:
        Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)
    assert len(receiver.got[0].headers["webhook-signature"].split(" ")) == 3

    run(sessions, "UPDATE webhooks SET previous_until = previous_until - interval '24 hours'")
    append_placed(sessions, "B")
    deliver_all(sessions)
    Webhook(secrets[-1]).verify(receiver.got[1].body, receiver.got[1].headers)
    with sessions.begin() as session:
        delivering.prune(session)
    assert value(sessions, "SELECT previous_secret FROM webhooks") is None
    assert len(receiver.got[1].headers["webhook-signature"].split(" ")) == 1

    for _ in range(2 * endpoints.MOST_SECRETS):
        with sessions.begin() as session:
            endpoints.rotate(session, webhook_id)
            secrets = session.execute(delivering.OPEN, {"id": webhook_id}).one().secrets
    assert len(set(secrets)) == endpoints.MOST_SECRETS


def test_an_event_that_this_release_cannot_read_delays_its_own_order_only(
    sessions: Sessions, receiver: Receiver
) -> None:
    listen(sessions, receiver)
    store(sessions, "A", 1, "OrderRefunded")
    append_placed(sessions, "B")

    assert deliver_all(sessions) == 2
    assert receiver.versions == {"B": [1]}
    assert "OrderRefunded" in value(sessions, "SELECT error FROM webhook_deliveries WHERE status IS NULL")


def test_without_webhooks_a_dispatch_is_one_query(sessions: Sessions) -> None:
    append_placed(sessions, "A")
    sent: list[str] = []
    event.listen(sessions.kw["bind"], "before_cursor_execute", lambda *told: sent.append(told[2]))

    assert dispatch(sessions) == {}
    assert len(sent) == 1


# How many at once.


def slow(receiver: Receiver, release: threading.Event) -> None:
    def wait(handler: BaseHTTPRequestHandler) -> None:
        assert release.wait(30)
        answer(204)(handler)

    receiver.behave = wait


def send(sessions: Sessions, webhook_id: str, share: threading.Semaphore | None = None) -> bool:
    """Whether there was something to be sent; as many as like may be risky, if nothing else is said."""
    with Sender(development=True) as sender:
        return deliver(sessions, sender, webhook_id, share or threading.Semaphore(100))


FAILED = 5  # orders


@pytest.mark.parametrize("failed", [0, FAILED])
def test_an_endpoint_gets_few_orders_at_once_and_one_more_of_those_that_fail(
    sessions: Sessions, receiver: Receiver, failed: int
) -> None:
    webhook_id = listen(sessions, receiver)
    if failed:
        place_many(sessions, failed)
        receiver.behave = answer(500)
        deliver_all(sessions)
        let_time_pass(sessions, 0.01)
    at_once = AT_ONCE + (FAILING_AT_ONCE if failed else 0)
    receiver.got.clear()
    release = threading.Event()
    slow(receiver, release)
    append_placed(sessions, *(f"ORDER-{number}" for number in range(8)))
    dispatch(sessions)
    assert dispatch(sessions)[webhook_id] == at_once

    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(send, sessions, webhook_id) for _ in range(8)]
        wait_until(lambda: len(receiver.got) == at_once)
        wait_until(lambda: sum(each.done() for each in sent) == 8 - at_once)
        assert dispatch(sessions)[webhook_id] == 0
        release.set()
        assert sorted(each.result() for each in sent) == [False] * (8 - at_once) + [True] * at_once
    assert sum(order_id.startswith("FILL") for order_id in receiver.versions) == at_once - AT_ONCE
    assert len(receiver.got) == at_once


def test_orders_that_hang_delay_no_other_order_of_their_endpoint(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    place_many(sessions, FAILED)
    receiver.behave = answer(500)
    deliver_all(sessions)
    let_time_pass(sessions, 0.01)
    receiver.got.clear()
    release = threading.Event()
    slow(receiver, release)

    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(send, sessions, webhook_id)
        wait_until(lambda: receiver.got)
        receiver.behave = answer(204)
        append(sessions, LIFE, order_id="A")
        dispatch(sessions)
        assert [send(sessions, webhook_id) for _ in range(6)] == [True] * 5 + [False]
        assert receiver.versions["A"] == [1, 2, 3, 4, 5]
        release.set()
        assert hanging.result()
    assert send(sessions, webhook_id)  # the next of those that fail


THREADS, SHARE = 16, 8


def is_risky(sessions: Sessions, webhook_id: str) -> bool:
    with sessions.begin() as session:
        opened = session.execute(delivering.OPEN, {"id": webhook_id}).one()
    return bool(opened.is_risky)


def test_endpoints_that_hang_take_half_of_the_threads_and_delay_no_other(
    sessions: Sessions, receiver: Receiver
) -> None:
    healthy = listen(sessions, receiver)
    append_placed(sessions, "BEFORE")
    deliver_all(sessions)
    release, share = threading.Event(), threading.BoundedSemaphore(SHARE)
    with Receiver() as hanging, ThreadPoolExecutor(THREADS) as threads:
        slow(hanging, release)
        others = [listen(sessions, hanging) for _ in range(5)]
        append_placed(sessions, *(f"ORDER-{number}" for number in range(AT_ONCE)))
        dispatch(sessions)
        asked = [threads.submit(send, sessions, other, share) for other in others * AT_ONCE]
        wait_until(lambda: len(hanging.got) == SHARE)
        wait_until(lambda: sum(each.done() for each in asked) == len(asked) - SHARE)

        sent = [threads.submit(send, sessions, healthy, share) for _ in range(AT_ONCE)]
        assert all(each.result() for each in sent)
        assert len(hanging.got) == SHARE
        release.set()
        assert sum(each.result() for each in asked) == SHARE
    assert len(receiver.versions) == 1 + AT_ONCE
    assert share.acquire(blocking=False)


def test_an_endpoint_is_risky_unless_its_last_attempt_was_good_and_quick(
    sessions: Sessions, receiver: Receiver
) -> None:
    webhook_id, none_spared = listen(sessions, receiver), threading.Semaphore(0)
    append(sessions, LIFE, order_id="A")
    dispatch(sessions)
    assert is_risky(sessions, webhook_id)  # it has not had any
    assert not send(sessions, webhook_id, none_spared)
    assert send(sessions, webhook_id)
    assert not is_risky(sessions, webhook_id)
    assert send(sessions, webhook_id, none_spared)

    run(sessions, f"UPDATE webhook_deliveries SET duration_ms = {delivering.SLOW + 1} WHERE version = 2")
    assert is_risky(sessions, webhook_id)
    receiver.behave = answer(500)
    assert send(sessions, webhook_id)
    assert is_risky(sessions, webhook_id)


def test_an_order_that_has_failed_is_risky_where_others_are_not(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id, none_spared = listen(sessions, receiver), threading.Semaphore(0)
    append_placed(sessions, "A", "B")
    receiver.behave = refuse_order(receiver, "A")
    deliver_all(sessions)
    let_time_pass(sessions, 0.01)
    assert not is_risky(sessions, webhook_id)

    assert not send(sessions, webhook_id, none_spared)
    assert send(sessions, webhook_id)
    assert receiver.versions == {"A": [1, 1], "B": [1]}


def test_no_database_connection_is_held_while_a_receiver_is_slow(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    release = threading.Event()
    slow(receiver, release)
    append_placed(sessions, "A")
    dispatch(sessions)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(send, sessions, webhook_id)
        wait_until(lambda: receiver.got)
        assert sessions.kw["bind"].pool.checkedout() == 0
        release.set()
        assert sent.result()


def test_what_a_sender_that_died_had_taken_is_taken_again(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    dispatch(sessions)
    with sessions.begin() as session:
        assert delivering._take(session, webhook_id, risky=True)
    assert deliver_all(sessions) == 0

    let_time_pass(sessions, 0.1)
    assert deliver_all(sessions) == 1


def test_a_sender_that_was_given_up_changes_nothing_any_more(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    dispatch(sessions)
    with sessions.begin() as session:
        late = delivering._take(session, webhook_id, risky=True)
    assert late is not None
    let_time_pass(sessions, 0.1)
    with sessions.begin() as session:
        assert delivering._take(session, webhook_id, risky=True)

    now = datetime.now(UTC) - timedelta(minutes=1)
    for given_up in (Answer(200, None), Answer(None, "gone")):
        with sessions.begin() as session:
            delivering._note(session, late, given_up, now, 60.0)
    assert value(sessions, "SELECT next_version FROM webhook_orders WHERE taken_until > now() AND attempts = 0") == 1


def gone(session: Session, taken: delivering.Taken) -> None:
    delivering._note(session, taken, Answer(410, None), datetime.now(UTC), 0.1)


@pytest.mark.parametrize(
    "change",
    [
        lambda session, taken: endpoints.retry(session, taken.webhook_id),
        lambda session, taken: endpoints.redeliver_after(session, taken.webhook_id, START),
        gone,
    ],
    ids=["a retry", "a redelivery", "a 410"],
)
def test_an_endpoint_is_locked_before_its_orders(
    sessions: Sessions, receiver: Receiver, change: Callable[[Session, delivering.Taken], object]
) -> None:
    """As dispatching and taking do, so none of them is ended as a deadlock."""
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    dispatch(sessions)
    with sessions.begin() as session:
        taken = delivering._take(session, webhook_id, risky=True)
    assert taken is not None
    run(sessions, "UPDATE webhook_orders SET failing_since = now()")

    def change_it() -> None:
        with sessions.begin() as session:
            change(session, taken)

    with ThreadPoolExecutor(1) as thread, sessions.begin() as session:
        session.execute(delivering.OPEN, {"id": webhook_id})
        changed = thread.submit(change_it)
        wait_for_lock(sessions)
        session.execute(text("UPDATE webhook_orders SET last_version = 2"))
        session.commit()
        changed.result()


def test_an_endpoint_that_is_busy_is_waited_for(
    sessions: Sessions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "BRIEFLY", text("SET LOCAL lock_timeout = '1min'"))
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    with ThreadPoolExecutor(1) as thread, sessions.begin() as session:
        session.execute(delivering.OPEN, {"id": webhook_id})
        dispatched = thread.submit(dispatch, sessions)
        wait_for_lock(sessions)
        session.commit()
        assert dispatched.result() == {webhook_id: 1}


def test_an_endpoint_that_is_held_for_long_delays_no_other(sessions: Sessions, receiver: Receiver) -> None:
    held, other = listen(sessions, receiver), listen(sessions, receiver)
    append_placed(sessions, "A")
    with sessions.begin() as session:
        session.execute(delivering.OPEN, {"id": held})
        assert dispatch(sessions) == {held: 0, other: 1}
    assert dispatch(sessions) == {held: 1, other: 1}


# Again.


def test_one_event_can_be_sent_again_with_the_same_id(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    deliver_all(sessions)
    with sessions.begin() as session:
        endpoints.redeliver(session, webhook_id, "A", 3)
        with pytest.raises(endpoints.NoSuchEvent):
            endpoints.redeliver(session, webhook_id, "A", 6)

    assert deliver_all(sessions) == 1
    assert receiver.versions == {"A": [1, 2, 3, 4, 5, 3]}
    assert receiver.got[5].headers["webhook-id"] == receiver.got[2].headers["webhook-id"]


def test_a_redelivery_to_an_endpoint_that_is_just_deleted_fails_nobody(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append_placed(sessions, "A")
    deliver_all(sessions)

    def redeliver() -> None:
        with sessions.begin() as session:
            endpoints.redeliver(session, webhook_id, "A", 1)

    with ThreadPoolExecutor(1) as thread, sessions.begin() as session:
        endpoints.remove(session, webhook_id)
        again = thread.submit(redeliver)
        wait_for_lock(sessions)
        session.commit()
        again.result()

    assert value(sessions, "SELECT count(*) FROM webhook_orders") == 0


def test_an_event_that_has_not_settled_is_not_sent_again_before_those_that_come_first(
    sessions: Sessions, receiver: Receiver
) -> None:
    webhook_id = listen(sessions, receiver)
    with sessions() as open_session:
        open_session.execute(text("SELECT pg_current_xact_id()"))
        append(sessions, LIFE, order_id="A")
        with sessions.begin() as session:
            endpoints.redeliver(session, webhook_id, "A", 3)
        assert deliver_all(sessions) == 0
        open_session.rollback()
    deliver_all(sessions)
    assert receiver.versions == {"A": [1, 2, 3, 4, 5]}


def test_an_event_that_is_sent_again_while_its_order_is_being_sent_comes_again(
    sessions: Sessions, receiver: Receiver
) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE[:2], order_id="A")
    deliver_all(sessions)
    append(sessions, LIFE[2:4], order_id="A", after=2)

    def redeliver_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        receiver.behave = answer(200)
        with sessions.begin() as session:
            endpoints.redeliver(session, webhook_id, "A", 2)
        answer(200)(handler)

    receiver.behave = redeliver_meanwhile
    deliver_all(sessions)

    assert receiver.versions == {"A": [1, 2, 3, 2, 3, 4]}


def test_everything_can_be_sent_again_and_a_new_endpoint_can_begin_at_the_beginning(
    sessions: Sessions, receiver: Receiver
) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    deliver_all(sessions)
    with sessions.begin() as session:
        endpoints.redeliver_after(session, webhook_id, START)
    deliver_all(sessions)
    assert receiver.versions == {"A": [1, 2, 3, 4, 5] * 2}

    with sessions.begin() as session:
        endpoints.create(session, receiver.url, "", [], enabled=True, after=START)
    deliver_all(sessions)
    assert receiver.versions == {"A": [1, 2, 3, 4, 5] * 3}


def test_of_endpoints_made_at_once_not_too_many_are_made(
    sessions: Sessions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 1)
    with ThreadPoolExecutor(1) as thread, sessions.begin() as session:
        endpoints.create(session, receiver.url, "", [], enabled=True)
        second = thread.submit(listen, sessions, receiver)
        wait_for_lock(sessions)
        session.commit()
        with pytest.raises(endpoints.TooManyWebhooks):
            second.result()


def in_flight(sessions: Sessions, receiver: Receiver, webhook_id: str, change: Callable[[Session], object]) -> None:
    """Send one of the endpoint's events, and change the endpoint before it is answered."""
    release = threading.Event()
    slow(receiver, release)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(send, sessions, webhook_id)
        wait_until(lambda: receiver.got)
        with sessions.begin() as session:
            change(session)
        release.set()
        assert sent.result()


def test_an_endpoint_can_be_deleted_while_an_event_is_in_flight(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    dispatch(sessions)
    in_flight(sessions, receiver, webhook_id, lambda session: endpoints.remove(session, webhook_id))
    assert deliver_all(sessions) == 0
    assert receiver.versions == {"A": [1]}
    assert value(sessions, "SELECT count(*) FROM webhook_orders") == 0


def test_an_endpoint_can_get_another_url_while_an_event_is_in_flight(sessions: Sessions, receiver: Receiver) -> None:
    webhook_id = listen(sessions, receiver)
    append(sessions, LIFE, order_id="A")
    dispatch(sessions)
    moved = {"url": f"{receiver.url}/new"}
    in_flight(sessions, receiver, webhook_id, lambda session: endpoints.change(session, webhook_id, moved))
    assert deliver_all(sessions) == 4
    assert receiver.versions == {"A": [1, 2, 3, 4, 5]}
    assert [got.path for got in receiver.got] == ["/hook"] + ["/hook/new"] * 4


def test_attempts_are_forgotten_after_thirty_days(sessions: Sessions, receiver: Receiver) -> None:
    listen(sessions, receiver)
    append_placed(sessions, "A", "B")
    deliver_all(sessions)
    run(
        sessions,
        "UPDATE webhook_deliveries SET attempted_at = attempted_at - interval '30 days' WHERE order_id = 'A'",
    )
    with sessions.begin() as session:
        assert delivering.prune(session) == 1
    assert value(sessions, "SELECT order_id FROM webhook_deliveries") == "B"


def test_the_attempts_of_a_deleted_endpoint_are_forgotten(sessions: Sessions, receiver: Receiver) -> None:
    """Also one that ends only then."""
    deleted, other = listen(sessions, receiver), listen(sessions, receiver)
    append_placed(sessions, "A")
    deliver_all(sessions)
    append_placed(sessions, "B")

    def delete_meanwhile(handler: BaseHTTPRequestHandler) -> None:
        receiver.behave = answer(204)
        with sessions.begin() as session:
            endpoints.remove(session, deleted)
        answer(204)(handler)

    receiver.behave = delete_meanwhile
    deliver_all(sessions)
    with sessions.begin() as session:
        assert delivering.prune(session) == 2
    assert value(sessions, f"SELECT count(*) FROM webhook_deliveries WHERE webhook_id = '{other}'") == 2
    assert value(sessions, "SELECT count(*) FROM webhook_deliveries") == 2
