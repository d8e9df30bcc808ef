"""Lines that machines read: one JSON object each, bound to its request or task, and without customers' names."""

import http.client
import json
import logging
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from core.logs import AddContext, JsonLines, PlainLines, bind, unbind
from local.servers import ValkeyServer
from tests.drills.fleet import Fleet
from tests.support.read_side import shown
from tests.support.waiting import wait_until
from worker.task_logs import hide_data

NAME = "山田太郎"


def lines(log: Path) -> list[dict[str, Any]]:
    """Every line is such an object, the server's own too; only a stopping worker says so in plain words."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def of(log: Path, request_id: str) -> list[dict[str, Any]]:
    return [line for line in lines(log) if line.get("request_id") == request_id]


def post(stack: Fleet, path: str, body: dict[str, Any], request_id: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports[0], timeout=30)
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    status, content = answer.status, answer.read()
    connection.close()
    return status, content


def test_a_request_and_its_task_are_followed_by_one_id(
    database_url: str, valkey: ValkeyServer, sessions: sessionmaker[Session], tmp_path: Path
) -> None:
    web, worker = tmp_path / "web-0.log", tmp_path / "worker-0.log"
    with Fleet(tmp_path, database_url=database_url, broker_url=valkey.url, workers=1, beats=0) as stack:
        status, content = post(stack, f"/orders?name={quote(NAME)}", body(), "logged-17")
        assert status == 201
        order_id = json.loads(content)["order_id"]
        tables = ("order_summary_read_models", "order_details_read_models")
        wait_until(lambda: bool(of(worker, "logged-17")) and all(shown(sessions, table) for table in tables), 30)
        with sessions.begin() as session:  # the next task fails, with the customer's name in PostgreSQL's own words
            session.execute(text("ALTER TABLE order_summary_read_models ADD CHECK (customer_name = '') NOT VALID"))
            session.execute(text("ALTER TABLE order_details_read_models RENAME TO mislaid"))
        assert post(stack, "/orders", body(), "logged-18")[0] == 201
        assert post(stack, f"/orders/{order_id}/add_item", {"product_name": NAME}, "logged-19")[0] == 422
        wait_until(lambda: any("task" in line for line in of(worker, "logged-18")), 30)

        [line] = of(web, "logged-17")
        expected = {
            "level": "INFO",
            "logger": "webapp.gate.access_log",
            "method": "POST",
            "route": "/orders",
            "status": 201,
        }
        assert expected.items() <= line.items()
        assert 0 < line["duration_ms"] < 30_000
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
        [line] = of(worker, "logged-17")
        expected = {"task": "project_event", "order_id": order_id, "state": "SUCCESS", "level": "INFO"}
        assert expected.items() <= line.items()
        assert re.fullmatch(r"[0-9a-f-]{36}", line["task_id"])
        [line] = of(web, "logged-19")
        assert line["route"] == "/orders/<order_id:order_id>/add_item"
        for log in (web, worker):
            assert lines(log)
            assert NAME not in log.read_text()
            assert quote(NAME) not in log.read_text()


def body() -> dict[str, Any]:
    return {"customer_name": NAME, "total_amount": 1}


def formatted(formatter: logging.Formatter) -> str:
    record = logging.LogRecord("core.test", logging.ERROR, __file__, 1, "It %s", ("failed",), None)
    AddContext().filter(record)
    return formatter.format(record)


def test_what_is_bound_is_in_every_line_until_it_is_unbound() -> None:
    bind(request_id="r-1")
    bind(route="/orders")
    bound = json.loads(formatted(JsonLines()))
    plain = formatted(PlainLines())
    unbind()

    assert (bound["request_id"], bound["route"], bound["message"]) == ("r-1", "/orders", "It failed")
    assert plain.endswith("ERROR core.test: It failed [r-1]")
    assert "request_id" not in json.loads(formatted(JsonLines()))
    assert formatted(PlainLines()).endswith("ERROR core.test: It failed")


def test_celerys_line_about_a_failed_task_quotes_nothing() -> None:
    error = ValueError(f"invalid literal for int() with base 10: '{NAME}'")
    failed = {"name": "worker.tasks.project_event", "id": "1", "exc": repr(error), "traceback": str(error)}
    record = logging.LogRecord("celery.app.trace", logging.ERROR, __file__, 1, "%(name)s: %(exc)s", (failed,), None)
    record.exc_info = (ValueError, error, None)
    record.data = failed
    assert NAME in record.getMessage()

    assert hide_data(record)

    told = JsonLines().format(record)
    assert "Task worker.tasks.project_event failed" in told
    assert NAME not in told
