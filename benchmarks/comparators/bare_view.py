"""The limit of a POST: a Flask view that checks nothing, does one INSERT with its commit, and one `apply_async`.

Celery is as it comes, with the settings of its own tutorial."""

import json
import os
import threading

import psycopg
from celery import Celery
from flask import Flask, request
from flask.typing import ResponseReturnValue
from uuid_utils import uuid7

from benchmarks.comparators.pgbench import create_plain_log


class ConnectionPerThread(threading.local):
    """In autocommit mode a statement and its commit are one round trip."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


celery = Celery("floor", broker=os.environ["REDIS_URL"])


@celery.task
def empty(order_id: str, version: int) -> None:
    """Takes what `project_event` takes."""


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    create_plain_log(os.environ["DATABASE_URL"])
    own = ConnectionPerThread()

    @app.post("/orders")
    def place_order() -> ResponseReturnValue:
        body = request.get_json()
        order_id = str(uuid7())
        data = json.dumps({"order_id": order_id, **body}, ensure_ascii=False)
        own.connection.execute("INSERT INTO plain_log (data) VALUES (%s)", [data])
        empty.apply_async((order_id, 1))
        return {"order_id": order_id, "version": 1}, 201

    return app
