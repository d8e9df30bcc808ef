"""Finding orders, turning pages in both directions, and one order at any version."""

import re
from datetime import timedelta
from decimal import Decimal

from flask.testing import FlaskClient
from sqlalchemy.orm import Session, sessionmaker

from core.orders.events import OrderPlaced
from tests.support.console import NEXT, PREVIOUS, follow
from tests.support.examples import LIFE, NOON, ORDER_ID
from tests.support.read_side import project_all
from tests.support.streams import append
from webapp.console.orders import PER_PAGE

LINK = re.compile(r'href="/console/orders/([\w-]+)"')


def fill(sessions: sessionmaker[Session], number: int) -> list[str]:
    """So many orders, newest first: odd ones of 佐藤花子; of 1, 2, 3 … yen, a minute apart."""
    ids = [f"ORDER-{n:03}" for n in range(1, number + 1)]
    for n, order_id in enumerate(ids, start=1):
        name = "佐藤花子" if n % 2 else "山田太郎"
        placed = NOON + timedelta(minutes=n)
        event = OrderPlaced(order_id=order_id, customer_name=name, total_amount=Decimal(n), placed_at=placed)
        append(sessions, [event], order_id=order_id)
    project_all(sessions, *ids)
    return ids[::-1]


def found(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/console/orders?{query}")
    assert answer.status_code == 200
    return LINK.findall(answer.text)


def test_pages_turn_forwards_and_back(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    ids = fill(sessions, 2 * PER_PAGE + 5)
    first = client.get("/console/orders").text
    second = follow(client, first, NEXT)
    third = follow(client, second, NEXT)

    assert [LINK.findall(page) for page in (first, second, third)] == [
        ids[:PER_PAGE],
        ids[PER_PAGE : 2 * PER_PAGE],
        ids[2 * PER_PAGE :],
    ]
    assert not NEXT.search(third)
    assert not PREVIOUS.search(first)
    back = follow(client, third, PREVIOUS)
    assert LINK.findall(back) == LINK.findall(second)
    again = follow(client, back, PREVIOUS)
    assert LINK.findall(again) == LINK.findall(first)
    assert not PREVIOUS.search(again)
    assert LINK.findall(follow(client, back, NEXT)) == LINK.findall(third)


def test_pages_keep_what_was_searched_for(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    fill(sessions, 2 * PER_PAGE + 6)
    page = client.get("/console/orders?q=佐藤花子&min=2").text

    assert LINK.findall(follow(client, page, NEXT)) == ["ORDER-005", "ORDER-003"]


def test_every_field_searches(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    ids = fill(sessions, 6)
    append(sessions, LIFE[1:4], order_id="ORDER-004", after=1)
    project_all(sessions, "ORDER-004")

    assert found(client, "") == ids
    assert found(client, "q=&status=&min=&max=&from=&to=") == ids, "empty fields count as left out"
    assert found(client, "q=佐藤花子") == ["ORDER-005", "ORDER-003", "ORDER-001"]
    assert found(client, "status=confirmed") == ["ORDER-004"]
    assert found(client, "min=2&max=3") == ["ORDER-003", "ORDER-002"]
    assert found(client, "from=2026-01-01T12:05&to=2026-01-01T12:06") == ["ORDER-005"]
    assert found(client, "q=nobody") == []


def test_an_order_is_found_by_its_id_even_before_it_is_shown(
    client: FlaskClient, sessions: sessionmaker[Session]
) -> None:
    append(sessions, LIFE)

    answer = client.get(f"/console/orders?q= {ORDER_ID} ")

    assert (answer.status_code, answer.location) == (302, f"/console/orders/{ORDER_ID}")
    assert client.get(answer.location).text.count("stored, not yet shown") == 5


def test_what_cannot_be_read_is_told_beside_its_field(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    fill(sessions, 1)
    page = client.get("/console/orders?min=lots&max=-1&from=soon&after=nonsense").text

    assert page.count('aria-invalid="true"') == 3
    assert 'value="lots"' in page
    assert page.count("Write an amount such as 1500 or 99.50.") == 2
    assert "This link is broken" in page
    assert LINK.findall(page) == []
    assert LINK.findall(client.get("/console/orders?after=nonsense").text) == ["ORDER-001"]


def test_an_empty_list_says_what_would_appear(client: FlaskClient) -> None:
    assert "An order appears here a moment after it is placed." in client.get("/console/orders").text


def test_an_order_is_shown_at_every_version(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    project_all(sessions, ORDER_ID)
    pages = [client.get(f"/console/orders/{ORDER_ID}?version={version}").text for version in range(1, 6)]

    assert [page.count('class="later"') for page in pages] == [4, 3, 2, 1, 0]
    assert [page.count('aria-current="step"') for page in pages] == [1] * 5
    assert [f"Version {version} of 5" in page for version, page in enumerate(pages, start=1)] == [True] * 5
    assert [page.count('<td class="name">') for page in pages] == [0, 1, 2, 2, 2]
    assert '<ins class="changed">confirmed</ins> <del>pending</del>' in pages[3]
    assert client.get(f"/console/orders/{ORDER_ID}").text == pages[4].replace("?version=5&amp;lang", "?lang")


def test_events_are_told_in_the_readers_language(client: FlaskClient, sessions: sessionmaker[Session]) -> None:
    append(sessions, LIFE)
    english, japanese = (client.get(f"/console/orders/{ORDER_ID}?lang={code}").text for code in ("en", "ja"))

    assert "Order placed for 山田太郎, total amount ¥10,000." in english
    assert "山田太郎の注文を受け付けました。合計金額は￥10,000です。" in japanese
    assert "Order" not in re.sub(r"<pre.*?</pre>|Orderlog", "", japanese, flags=re.DOTALL)
    assert "&#34;event_type&#34;: &#34;OrderShipped&#34;" in english
