"""The processes of the Procfile deliver webhooks, and a receiver that hangs keeps no order from being shown."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy.orm import Session, sessionmaker

from core.webhooks import endpoints
from core.webhooks.delivering import AT_ONCE
from local.servers import ValkeyServer
from tests.drills.fleet import Fleet
from tests.support.make_run import request
from tests.support.receiver import Receiver, answer
from tests.support.waiting import wait_until
from worker import webhooks
from worker.app import app as celery_app
from worker.settings import settings

QUEUE = "orderlog.webhooks"
ORDERS = 24  # more than the process has threads


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server


def test_they_come_while_a_receiver_that_hangs_keeps_no_order_from_being_shown(
    database_url: str, broker: ValkeyServer, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    release = Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        release.wait(60)

    with (
        Receiver(behave=hang) as hanging,
        Receiver() as receiver,
        Fleet(tmp_path / "logs", database_url=database_url, broker_url=broker.url, workers=1, webhooks=1) as stack,
    ):
        with sessions.begin() as session:
            for each in (hanging, receiver):
                endpoints.create(session, each.url, "", [], enabled=True)
        url = f"http://127.0.0.1:{stack.ports[0]}"
        order = {"customer_name": "山田太郎", "total_amount": 1}
        placed = {request(f"{url}/orders", order)["order_id"] for _ in range(ORDERS)}

        wait_until(lambda: len(hanging.got) >= AT_ONCE)
        wait_until(lambda: set(receiver.versions) == placed)
        placed.add(request(f"{url}/orders", order)["order_id"])
        wait_until(lambda: {each["order_id"] for each in request(f"{url}/orders")["orders"]} == placed)
        release.set()
        hanging.behave = answer(204)
        wait_until(lambda: set(hanging.versions) == placed)


def test_tasks_that_no_process_takes_are_dropped_every_hour(
    app: Flask, valkey: ValkeyServer, sessions: sessionmaker[Session]
) -> None:
    settings.cache_clear()
    webhooks.sessions.cache_clear()
    with Redis.from_url(valkey.url) as redis:
        for _ in range(3):
            webhooks.dispatch_webhooks.apply_async()
        assert redis.llen(QUEUE) >= 3  # other tests' Beats may have left some
        assert celery_app.conf.beat_schedule["prune-webhooks"]["schedule"] == 3600

        webhooks.prune_webhooks()

        assert redis.llen(QUEUE) == 0
    webhooks.sessions().kw["bind"].dispose()
