"""Whatever is sent gets a clear answer below 500, and leaves no event unless it was accepted."""

import base64
import json
import re
import statistics
import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import simplejson
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.test import TestResponse

from tests.support.calls import (
    BEFORE,
    CHANGES,
    COMMAND_OPERATIONS,
    COMMANDS,
    example_path,
    faults,
    nothing_stored,
    order_after,
    problem,
    read,
    show_everything,
    stored_events,
)
from tests.support.contract import CONTRACT
from webapp.api.operation import Operation
from webapp.contract.schemas import schema_name
from webapp.operations import OPERATIONS

# Values as they stand in the JSON text. No field of any command takes one of these.
NEVER_A_VALUE = {
    "null": "null",
    "true": "true",
    "false": "false",
    "an array": "[]",
    "an array of the right thing": '["山田太郎", 1]',
    "an object": "{}",
    "an object with the right thing": '{"value": 1}',
    "500 levels deep": "[" * 500 + "]" * 500,
}

NOT_A_TEXT = {
    **NEVER_A_VALUE,
    "a number": "5",
    "empty": '""',
    "blank": '"   "',
    "a tab and a line end": r'"\t\n"',
    "an ideographic space": '"\u3000"',
    "a no-break space": '"\u00a0"',
    "a zero-width space": '"\u200b"',
    "a byte order mark": '"\ufeff"',
    "a control character": r'"\u0007"',
    "an escape sequence": r'"a\u001b[2Kb"',
    "a control character of C1": r'"a\u009bb"',
    "a bell at the end": r'"a\u0007"',
    "a carriage return": r'"a\rb"',
    "a bidirectional override": r'"a\u202eb"',
    "a bidirectional isolate": r'"\u2066a"',
    "NUL": r'"\u0000"',
    "NUL inside": r'"山田\u0000太郎"',
    "a lone high surrogate": r'"\ud800"',
    "a lone low surrogate": r'"山田\udfff"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "10,000 characters": json.dumps("名" * 10_000),
    "10,000 blanks": json.dumps(" " * 10_000),
    "1,900 characters": json.dumps("名" * 1_900),
    "10 kilobytes": json.dumps("a" * 10_000),
    "half a mebibyte": json.dumps("a" * 512 * 1024),
}

NOT_A_NUMBER = {
    **NEVER_A_VALUE,
    "a string": '"1"',
    "empty": '""',
    "negative": "-1",
    "a little below zero": "-0.01",
    "30 digits": "9" * 30,
    "1e400": "1e400",
    "-1e400": "-1e400",
    "1e-400": "1e-400",
    "an exponent of 30 digits": "1e" + "9" * 30,
    "a negative exponent of 30 digits": "1e-" + "9" * 30,
    "10,000 digits": "9" * 10_000,
    "10,000 decimals": "1." + "9" * 10_000,
    "900 numbers": f"[{', '.join('0' * 900)}]",
    "a million digits": "9" * 1_000_000,
    "a million decimals": "1." + "9" * 1_000_000,
}

NOT_AN_AMOUNT = {
    **NOT_A_NUMBER,
    "three decimals": "1.001",
    "a tenth of a cent": "0.001",
    "30 decimals": "1." + "0" * 29 + "1",
    "15 digits and three decimals": "999999999999.991",
    "one cent too many": "1000000000000.00",
    "2^40 of something larger": "1099511627776",
}

NOT_ABOVE_ZERO = {"zero": "0", "zero with decimals": "0.00", "minus zero": "-0", "zero in its way": "0e99999"}

NOT_A_WHOLE_NUMBER = {
    **NOT_A_NUMBER,
    **NOT_ABOVE_ZERO,
    "one and a half": "1.5",
    "nearly one": "0.99999999999999999999999999999999",
    "2^63": "9223372036854775808",
}


NOT_AN_ARRAY = {what: text for what, text in NOT_A_NUMBER.items() if not text.startswith("[")} | {"a number": "5"}


def body_schema(operation: Operation) -> dict[str, Any]:
    assert operation.body is not None
    schema: dict[str, Any] = CONTRACT["components"]["schemas"][schema_name(operation.body)]
    return schema


def wrong_values(schema: dict[str, Any]) -> dict[str, str]:
    """What a field of this schema must refuse."""
    match schema["type"]:
        case "string":
            longest = schema["maxLength"]
            return {**NOT_A_TEXT, "a character too many": json.dumps("名" * (longest + 1))}
        case "number":
            return {**NOT_AN_AMOUNT, **(NOT_ABOVE_ZERO if "exclusiveMinimum" in schema else {})}
        case "integer":
            most = schema["maximum"]
            return {**NOT_A_WHOLE_NUMBER, "one too many": str(most + 1), "2^40 too many": str(most + 2**40)}
        case "array":
            return {**NOT_AN_ARRAY, "an element too many": json.dumps([{}] * (schema["maxItems"] + 1))}
    raise NotImplementedError(schema["type"])


REFUSED = {
    (command, field): wrong_values(schema)
    for command, operation in COMMAND_OPERATIONS.items()
    for field, schema in body_schema(operation)["properties"].items()
}

# Bodies that are no JSON text, whatever the command.
NOT_JSON = {
    "blank": b" ",
    "half an object": b'{"customer_name": ',
    "two texts": b"{} {}",
    "a comment": b"{} // nothing",
    "a trailing comma": b'{"reason": "x",}',
    "single quotes": b"{'reason': 'x'}",
    "NaN": b'{"total_amount": NaN, "quantity": NaN}',
    "Infinity": b'{"total_amount": Infinity, "unit_price": Infinity}',
    "-Infinity": b'{"total_amount": -Infinity}',
    "a leading zero": b'{"total_amount": 01}',
    "a leading plus": b'{"total_amount": +1}',
    "a leading point": b'{"total_amount": .5}',
    "a hexadecimal number": b'{"total_amount": 0x10}',
    "a raw line end in a string": b'{"reason": "a\nb"}',
    "a raw NUL in a string": b'{"reason": "a\x00b"}',
    "a wrong escape": rb'{"reason": "\x41"}',
    "half an escape": rb'{"reason": "\u12"}',
    "Shift JIS": '{"reason": "顧客都合"}'.encode("shift_jis"),
    "UTF-16": '{"reason": "顧客都合"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"reason": "x"}',
    "a surrogate as bytes": b'{"reason": "\xed\xa0\x80"}',
    "an overlong slash": b'{"reason": "\xc0\xaf"}',
    "a cut character": '{"reason": "顧'.encode()[:-1],
    "bytes": bytes(range(256)),
    "900 arrays": b"[" * 900,
    "900 arrays in a field": b'{"reason": ' + b"[" * 900,
    "900 objects": b'{"a":' * 900,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00C\xbf\xa6\xa3\x02\x00\x00\x00",
}


# No body of a command has so many values, and none of these is looked at any further.
TOO_MANY_VALUES = {
    "5,000 arrays": b"[" * 5_000,
    "5,000 closed arrays in a field": b'{"reason": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "2,000 objects, one in the other": b'{"a":' * 2_000,
    "3,000 empty objects": b"[" + b",".join([b"{}"] * 3_000) + b"]",
    "3,000 empty strings": b"[" + b",".join([b'""'] * 3_000) + b"]",
    "5,000 numbers behind a half string": b"[" + b"0," * 5_000 + b'"',
    "100,000 arrays": b"[" * 100_000,
    "100,000 closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 arrays in a field": b'{"reason": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "101 members": b"{" + b",".join(b'"%d": 1' % number for number in range(101)) + b"}",
    "101 members of a member": b'{"reason": {' + b",".join(b'"%d": 1' % number for number in range(101)) + b"}}",
    "one member 101 times": b"{" + b",".join([b'"reason": "x"'] * 101) + b"}",
    "a name of 101 characters": b'{"' + b"a" * 101 + b'": 1}',
    "a name of 10,000 characters": b'{"reason": [{"' + b"a" * 10_000 + b'": 1}]}',
}

# Bodies of POST /orders, as long as the longest good one, that cost much if all of them is looked at.
LONG = COMMAND_OPERATIONS["place_order"].largest_body - 100
ONE_NAME = '{"customer_name": "%s", "total_amount": 5}'
ONE_AMOUNT = '{"customer_name": "a", "total_amount": %s}'
COSTLY = {
    "blanks": ONE_NAME % (" " * LONG),
    "ideographic spaces": ONE_NAME % ("\u3000" * (LONG // 3)),
    "NUL": ONE_NAME % (r"\u0000" * (LONG // 6)),
    "surrogates": ONE_NAME % (r"\ud800" * (LONG // 6)),
    "backslashes": ONE_NAME % (r"\\" * (LONG // 2)),
    "letters": ONE_NAME % ("a" * LONG),
    "digits": ONE_AMOUNT % ("1" * LONG),
    "decimals": ONE_AMOUNT % f"0.{'1' * LONG}",
    "an exponent": ONE_AMOUNT % f"1e{'9' * LONG}",
    "empty strings without a comma": '""' * (LONG // 2),
    "quotes behind backslashes": r"\"\\" * (LONG // 5),
    "an unknown name": f'{{"{"é" * (LONG // 2)}": 1}}',
    "100 unknown names": json.dumps({str(number).ljust(LONG // 110, "/"): 1 for number in range(100)}),
    "100 blank names": ONE_AMOUNT % f'5, "items": {json.dumps([{"product_name": " " * (LONG // 120)}] * 100)}',
    "blanks around nothing": " " * LONG,
    "bytes": "\udcff" * LONG,
}


def post(client: FlaskClient, command: str, order_id: str, body: bytes) -> TestResponse:
    return client.post(COMMANDS[command][0].format(order_id), data=body, content_type="application/json")


def body_with(command: str, field: str, value: str) -> bytes:
    """A body that is right but for this field, whose JSON text is given."""
    members = {name: simplejson.dumps(right) for name, right in COMMANDS[command][1].items()} | {field: value}
    return ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}").encode()


def refused_by_its_size(answer: TestResponse, command: str, body: bytes) -> bool:
    """Whether the body is longer than the longest good one."""
    limit = COMMAND_OPERATIONS[command].largest_body
    if len(body) > limit:
        assert str(limit) in problem(answer, 413, "content-too-large")["detail"]
    return len(body) > limit


@pytest.mark.parametrize(("command", "field"), list(REFUSED))
def test_wrong_values_are_refused_by_name_and_leave_nothing(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests, command: str, field: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    with nothing_stored(sessions):
        for what, value in REFUSED[command, field].items():
            with subtests.test(what):
                body = body_with(command, field, value)
                answer = post(client, command, order_id, body)
                if not refused_by_its_size(answer, command, body):
                    assert list(faults(answer)) == [f"#/{field}"]
        for value in ("NaN", "Infinity", "-Infinity"):
            with subtests.test(value):
                answer = post(client, command, order_id, body_with(command, field, value))
                assert f"{value} is not a JSON number" in problem(answer, 400, "not-json")["detail"]

    right = simplejson.dumps(COMMANDS[command][1].get(field, []))
    assert post(client, command, order_id, body_with(command, field, right)).status_code in (200, 201)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_bodies_that_are_not_json_leave_nothing(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests, command: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    with nothing_stored(sessions):
        for what, body in NOT_JSON.items():
            with subtests.test(what):
                answer = post(client, command, order_id, body)
                if not refused_by_its_size(answer, command, body):
                    problem(answer, 400, "not-json")


def longest(schema: dict[str, Any]) -> Any:
    """The longest good value of this schema, if each character is spelled as two escapes."""
    if "$ref" in schema:
        return longest(CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    match schema["type"]:
        case "string":
            return "𠮷" * schema["maxLength"]
        case "array":
            return [longest(schema["items"])] * schema["maxItems"]
        case "object":
            return {name: longest(value) for name, value in schema.get("properties", {}).items()}
    return Decimal(str(schema["maximum"]))


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_longest_good_body_is_taken(client: FlaskClient, command: str) -> None:
    body = simplejson.dumps(longest(body_schema(COMMAND_OPERATIONS[command]))).encode()

    answer = post(client, command, order_after(client, *BEFORE[command]), body)

    assert answer.status_code in (200, 201, 409)  # what it names need not be in the order


@pytest.mark.parametrize("command", list(COMMANDS))
def test_bodies_with_too_many_values_are_refused_as_a_whole(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests, command: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    with nothing_stored(sessions):
        for what, body in TOO_MANY_VALUES.items():
            with subtests.test(what):
                answer = post(client, command, order_id, body)
                if not refused_by_its_size(answer, command, body):
                    assert list(faults(answer)) == ["#"]


def test_refusing_a_long_body_costs_no_more_than_taking_one(client: FlaskClient, subtests: pytest.Subtests) -> None:
    """In processor time of this thread, which is the whole service here but for its servers."""

    def cost(body: str, *statuses: int) -> float:
        sent, times = body.encode(errors="surrogateescape"), []
        for _ in range(5):
            began = time.thread_time()
            answer = post(client, "place_order", "", sent)
            times.append(time.thread_time() - began)
            assert answer.status_code in statuses
        return statistics.median(times)

    good = cost(simplejson.dumps(longest(body_schema(COMMAND_OPERATIONS["place_order"]))), 201)
    for what, body in COSTLY.items():
        with subtests.test(what):
            assert cost(body, 400, 422) < good


@pytest.mark.parametrize("command", list(COMMANDS))
def test_unknown_and_repeated_keys_leave_nothing(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests, command: str
) -> None:
    order_id = order_after(client, *BEFORE[command])
    right = simplejson.dumps(COMMANDS[command][1])[1:-1]
    comma = "," if right else ""
    wrong = {
        "an unknown key": '"x": 1',
        "the id": f'"order_id": "{order_id}"',
        "the version": '"version": 9',
        "the key in capitals": '"REASON": "x", "Customer_Name": "x"',
        "a key with a blank": '"reason ": "x"',
        "an empty key": '"": 1',
        "a key with NUL": r'"a\u0000": 1',
        "a key with a lone surrogate": r'"a\ud800": 1',
        "two lone surrogates": r'"\ud800": 1, "\udfff": 1',
        "a key of 100 characters": f'"{"a" * 100}": 1',
        "a key of 10,000 characters": f'"{"a" * 10_000}": 1',
        "90 keys": ", ".join(f'"key {n}": {n}' for n in range(90)),
        "one key 90 times": ", ".join('"a": 1' for _ in range(90)),
        "10,000 keys": ", ".join(f'"key {n}": {n}' for n in range(10_000)),
        "one key 10,000 times": ", ".join('"a": 1' for _ in range(10_000)),
        "10,000 keys twice": ", ".join(f'"key {n % 10_000}": {n}' for n in range(20_000)),
        "Python's insides": '"__class__": {}, "__init__": 1, "self": 1, "model_config": {}',
    }
    with nothing_stored(sessions):
        for what, members in wrong.items():
            with subtests.test(what):
                body = f"{{{right}{comma}{members}}}".encode()
                answer = post(client, command, order_id, body)
                if not refused_by_its_size(answer, command, body):
                    faults(answer)
        for field, value in COMMANDS[command][1].items():
            with subtests.test(f"{field} twice"):
                repeated = f"{{{right}, {json.dumps(field)}: {simplejson.dumps(value)}}}".encode()
                assert faults(post(client, command, order_id, repeated)) == {f"#/{field}": "is given more than once"}


def long(part: str) -> str:
    """A list of these that is longer than a kilobyte."""
    return part + f",{part}" * (1024 // len(part))


def test_headers_over_a_kilobyte_are_ignored_or_refused(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    """What a client may not count on is ignored."""
    order_id = order_after(client, "add_item")
    show_everything(sessions)
    page, path = "/problems/not-json", f"/orders/{order_id}"
    assert client.get(page, headers={"Accept": "text/html"}).mimetype == "text/html"
    assert client.get(page, headers={"Accept": long("text/html")}).mimetype == "text/plain"
    assert client.get("/", headers={"Accept": long("text/html")}).mimetype == "application/json"
    assert client.get(path, headers={"If-None-Match": '"2"'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": long('"2"')}).status_code == 200
    with nothing_stored(sessions):
        problem(client.post(f"{path}/confirm", headers={"If-Match": long('"2"')}), 400, "invalid-header")
        typed = {"Content-Type": "application/json" + "; a=b" * 250}
        problem(client.post(f"{path}/confirm", data=b"{}", headers=typed), 415, "unsupported-media-type")
    asked = client.post(f"{path}/confirm", headers={"Prefer": long("wait=0") + ",wait=5"})
    assert asked.status_code == 200
    assert "Preference-Applied" not in asked.headers


def test_a_query_of_over_a_hundred_parameters_is_refused_as_a_whole(client: FlaskClient) -> None:
    assert len(faults(client.get(f"/orders?{'&'.join(f'p{number}' for number in range(100))}"))) == 100
    assert list(faults(client.get(f"/orders?{'&'.join(['limit=1'] * 101)}"))) == ["#"]


HOSTILE_IDS = [
    "a/b",
    "/",
    "//",
    "/etc/passwd",
    "../statistics",
    ".",
    "..",
    "-a",
    "a\\b",
    "'",
    '"',
    "' OR '1'='1",
    "'; DROP TABLE events; --",
    "%",
    "%s",
    "%2F",
    "{}",
    "a b",
    " ",
    "a\x00b",
    "a\n",
    "\n",
    "a\r\nSet-Cookie: x=1",
    "a?b",
    "a#b",
    "a;b",
    "a&b=c",
    "山田太郎",
    "\u202e",
    "ORDER-００１",
    "é",
    "x" * 65,
    "x" * 10_000,
    "/" * 10_000,
    "<script>alert(1)</script>",
]


def test_ids_that_no_order_can_have_are_not_found(
    client: FlaskClient, sessions: sessionmaker[Session], subtests: pytest.Subtests
) -> None:
    places = [operation for operation in OPERATIONS if "{order_id}" in operation.path]
    assert len(places) > len(CHANGES)
    with nothing_stored(sessions):
        for order_id in HOSTILE_IDS:
            for operation in places:
                with subtests.test(f"{operation.name} {order_id[:30]!r}"):
                    path = operation.path.format(order_id=quote(order_id, safe=""))
                    answer = client.open(path, method=operation.method, json=operation.example)
                    assert "<script>" not in problem(answer, 404, "not-found")["detail"]
            with subtests.test(f"status {order_id[:30]!r}"):
                problem(client.get(f"/orders/status/{quote(order_id, safe='')}"), 404, "not-found")


def test_bytes_that_are_not_utf8_in_a_path_are_not_found(client: FlaskClient) -> None:
    for path in ("/orders/%FF", "/orders/%ED%A0%80", "/orders/%C0%AF", "/orders/a%80/confirm", "/%FE", "/orders/%"):
        problem(client.get(path), 404, "not-found")


# What nobody thought of.

HYPOTHESIS = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
any_text = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates too
numbers = st.integers() | st.floats() | st.decimals(allow_nan=False, allow_infinity=False).map(float)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | any_text,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(any_text, children, max_size=4),
    max_leaves=8,
)
likely_values = st.integers(0, 2_000_000) | st.integers(0, 10**15).map(lambda cents: cents / 100) | any_text


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A command, and a body that has its fields with any values, or lacks some, or has others too."""
    command = draw(st.sampled_from(list(COMMANDS)))
    body = {
        field: draw(st.just(right) | likely_values | json_values)
        for field, right in COMMANDS[command][1].items()
        if draw(st.integers(0, 9))
    }
    return command, body | draw(st.just({}) | st.just({}) | st.dictionaries(any_text, json_values, max_size=2))


def last_event(sessions: sessionmaker[Session], order_id: str) -> Any:
    with sessions.begin() as session:
        query = text("SELECT event_data FROM events WHERE aggregate_id = :order_id ORDER BY version DESC LIMIT 1")
        return session.execute(query, {"order_id": order_id}).scalar_one()


@HYPOTHESIS
@given(requests())
def test_any_json_is_stored_exactly_or_refused_without_a_trace(
    client: FlaskClient, sessions: sessionmaker[Session], request_: tuple[str, dict[str, Any]]
) -> None:
    command, body = request_
    order_id = order_after(client, *BEFORE[command])
    before = stored_events(sessions)

    answer = post(client, command, order_id, simplejson.dumps(body, allow_nan=True).encode())

    if answer.status_code not in (200, 201):
        assert_refused(answer)
        assert stored_events(sessions) == before
        return
    assert stored_events(sessions) == before + 1
    stored = last_event(sessions, read(answer)["order_id"])
    for field, sent in body.items():
        kept = stored[field]
        assert (kept == sent) if isinstance(sent, str) else (Decimal(kept) == Decimal(str(sent)))


def assert_refused(answer: TestResponse) -> None:
    """With a complete problem document that blames the client."""
    assert 400 <= answer.status_code < 500, answer.text
    problem(answer, answer.status_code, json.loads(answer.text)["type"].removeprefix("/problems/"))


@HYPOTHESIS
@given(st.sampled_from(list(COMMANDS)), st.binary(max_size=200) | any_text.map(lambda t: t.encode(errors="replace")))
def test_any_bytes_are_refused_without_a_trace(
    client: FlaskClient, sessions: sessionmaker[Session], command: str, body: bytes
) -> None:
    with nothing_stored(sessions):
        assert_refused(post(client, command, "ORDER-404", body))


@HYPOTHESIS
@given(
    st.sampled_from(["/{part}", *(re.sub(r"{\w+}", "{part}", operation.path) for operation in OPERATIONS)]),
    st.binary(max_size=100),
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
)
def test_any_path_is_answered_without_a_trace(
    client: FlaskClient, sessions: sessionmaker[Session], path: str, part: bytes, method: str
) -> None:
    with nothing_stored(sessions):
        answer = client.open(path.format(part=quote(part, safe="")), method=method)
        if answer.status_code != 200:
            assert_refused(answer)


QUERIES = [operation for operation in OPERATIONS if operation.query is not None]
MISSING = {"{order_id}": "order-not-found", "{webhook_id}": "webhook-not-found", "": "no-such-position"}
PARAMETERS = sorted(
    {
        parameter["name"]
        for operation in QUERIES
        for parameter in CONTRACT["paths"][operation.path][operation.method]["parameters"]
        if parameter.get("in") == "query"
    }
)
cursors = st.lists(json_values | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(str), max_size=3)
cursor_texts = cursors.map(lambda parts: base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("="))
instants = st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())


@HYPOTHESIS
@given(
    st.lists(
        st.tuples(
            st.sampled_from(PARAMETERS) | any_text,
            st.binary(max_size=30) | any_text.map(lambda t: t.encode(errors="replace")) | instants | cursor_texts,
        ),
        max_size=4,
    )
)
@example([("cursor", base64.urlsafe_b64encode(b'["2026-01-01T12:00:00+23:59", "ORDER-1"]').decode().rstrip("="))])
def test_any_query_is_answered(client: FlaskClient, query: list[tuple[str, str | bytes]]) -> None:
    parameters = urlencode([(name.encode(errors="replace"), value) for name, value in query])
    for operation in QUERIES:
        answer = client.get(f"{example_path(operation)}?{parameters}")
        match answer.status_code:
            case 200:
                pass
            case 404:
                problem(answer, 404, next((slug for part, slug in MISSING.items() if part in operation.path)))
            case _:
                faults(answer)
