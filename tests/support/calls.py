"""Calling the API and reading its answers, the same in every test."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import simplejson
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.datastructures import Headers

from tests.support.read_side import project_all
from webapp.api.operation import COMMANDS as OF_COMMANDS
from webapp.api.operation import Operation
from webapp.operations import OPERATIONS

LAPTOP: dict[str, Any] = {"product_name": "ノートPC", "quantity": 1, "unit_price": 80000}
MICE: dict[str, Any] = {"product_name": "マウス", "quantity": 2, "unit_price": 1500}

COMMAND_OPERATIONS = {each.name: each for each in OPERATIONS if each.body is not None and each.tag == OF_COMMANDS}

# Every command with a body that it accepts; the path says where the id goes.
COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (each.path.replace("{order_id}", "{}"), dict(each.example)) for name, each in COMMAND_OPERATIONS.items()
}
CHANGES = [command for command in COMMANDS if command != "place_order"]


def _before() -> dict[str, tuple[str, ...]]:
    before: dict[str, tuple[str, ...]] = {"place_order": ()}
    reached = ["place_order"]
    for earlier in reached:  # which grows meanwhile
        for name in COMMAND_OPERATIONS[earlier].follows:
            if name in COMMAND_OPERATIONS and name not in before:
                before[name] = () if earlier == "place_order" else (*before[earlier], earlier)
                reached.append(name)
    return before


# What has to happen to a new order before it takes the command: the shortest way by what follows.
BEFORE = _before()


def example_path(operation: Operation, **values: str) -> str:
    """Its path with these values, and with its own examples for what else it needs."""
    return operation.path.format_map({name: each["example"] for name, each in operation.in_path.items()} | values)


def example_query(operation: Operation) -> dict[str, str]:
    """Examples of the parameters that it cannot do without."""
    schema = operation.query.model_json_schema() if operation.query else {}
    return {name: str(schema["properties"][name]["examples"][0]) for name in schema.get("required", [])}


class Answer(Protocol):
    """What both kinds of client answer."""

    @property
    def status_code(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def content_type(self) -> str | None: ...

    @property
    def data(self) -> bytes: ...

    @property
    def text(self) -> str: ...


class Client(Protocol):
    """Flask's test client, or the client of a running server (remote.py)."""

    def get(self, path: str, /, *, headers: Mapping[str, str] | None = None) -> Answer: ...

    def post(self, path: str, /, *, json: Any = None, headers: Mapping[str, str] | None = None) -> Answer: ...


def place(client: Client, **fields: Any) -> str:
    """The new order's id."""
    path, body = COMMANDS["place_order"]
    answer = client.post(path, json={**body, **fields})
    assert answer.status_code == 201, answer.text
    return str(read(answer)["order_id"])


def send(
    client: Client, command: str, order_id: str, headers: Mapping[str, str] | None = None, **fields: Any
) -> Answer:
    path, body = COMMANDS[command]
    return client.post(path.format(order_id), json={**body, **fields}, headers=headers)


def order_after(client: Client, *commands: str) -> str:
    """A placed order that has taken these commands."""
    order_id = place(client)
    for command in commands:
        answer = send(client, command, order_id)
        assert answer.status_code == 200, answer.text
    return order_id


def order_in(client: Client, status: str) -> str:
    life = {
        "pending": (),
        "confirmed": ("add_item", "confirm_order"),
        "shipped": ("add_item", "confirm_order", "ship_order"),
        "cancelled": ("cancel_order",),
    }
    return order_after(client, *life[status])


def read(answer: Answer) -> Any:
    """The JSON of a good answer; amounts are Decimal."""
    assert answer.content_type == "application/json", answer.content_type
    return simplejson.loads(answer.data.decode(), use_decimal=True)


def problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """The problem document, which is complete and of this type."""
    assert answer.status_code == status, (answer.status, answer.text)
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = simplejson.loads(answer.data.decode())
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def accepted(answer: Answer, order_id: str, version: int) -> int:
    """The position of the event that the command has stored; the answer is complete and says this version."""
    document = read(answer)
    assert answer.status_code in (200, 201)
    assert document == {"order_id": order_id, "version": version, "position": document["position"]}
    assert answer.headers["ETag"] == f'"{version}"'
    return int(document["position"])


def faults(answer: Answer) -> dict[str, str]:
    """What a 422 says of each pointer."""
    document = problem(answer, 422, "invalid-request")
    assert document["errors"]
    assert all(set(error) == {"pointer", "detail"} and error["detail"] for error in document["errors"])
    return {error["pointer"]: error["detail"] for error in document["errors"]}


def stored_events(sessions: sessionmaker[Session]) -> int:
    with sessions.begin() as session:
        return int(session.execute(text("SELECT count(*) FROM events")).scalar_one())


@contextmanager
def nothing_stored(sessions: sessionmaker[Session]) -> Iterator[None]:
    before = stored_events(sessions)
    yield
    assert stored_events(sessions) == before


def show_everything(sessions: sessionmaker[Session]) -> None:
    """Project what is stored, as the workers would."""
    with sessions.begin() as session:
        order_ids = session.execute(text("SELECT DISTINCT aggregate_id FROM events")).scalars().all()
    for order_id in order_ids:
        project_all(sessions, order_id)
