"""The rules for single values, at and beyond every limit."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.orders import values
from core.orders.errors import InvalidValue
from tests.support.examples import NOON

PLACES = "must have at most two decimal places"
RANGE = "must be from 0 to 999999999999.99"
FINITE = "must be a finite number"
WHOLE = "must be a whole number from 1 to 1000000"


def refusal(check: Callable[[Any], object], value: object) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        check(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (1, "1.00"),
        (10000, "10000.00"),
        (Decimal(0), "0.00"),
        (Decimal("-0"), "0.00"),
        (Decimal("-0.00"), "0.00"),
        (Decimal("0.01"), "0.01"),
        (Decimal("99.5"), "99.50"),
        (Decimal("1E+3"), "1000.00"),
        (Decimal("0E+400"), "0.00"),
        (Decimal("10.000"), "10.00"),
        (Decimal("1.000000000000000000000000000000000000000000"), "1.00"),
        (Decimal("999999999999.99"), "999999999999.99"),
    ],
    ids=str,
)
def test_an_amount_has_exactly_two_places(value: Decimal | int, text: str) -> None:
    assert str(values.unit_price(value)) == text


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (-1, RANGE),
        (Decimal("-0.01"), RANGE),
        (1_000_000_000_000, RANGE),
        (Decimal("999999999999.991"), RANGE),
        (Decimal("123456789012345678901234567890"), RANGE),
        (10**400, RANGE),
        (Decimal("1E400"), RANGE),
        (Decimal("1E+999999999999999999"), RANGE),
        (Decimal("0.001"), PLACES),
        (Decimal("99.999"), PLACES),
        (Decimal("0.123456789012345678901234567890"), PLACES),
        (Decimal("1.0000000000000000000000000000000001"), PLACES),
        (Decimal("999999999999.98000000000000000000000000001"), PLACES),
        (Decimal("1E-400"), PLACES),
        (Decimal("1E-999999999999999999"), PLACES),
        (Decimal("NaN"), FINITE),
        (Decimal("sNaN"), FINITE),
        (Decimal("Infinity"), FINITE),
        (Decimal("-Infinity"), FINITE),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_amount_outside_the_rules_is_refused(value: Decimal | int, detail: str) -> None:
    refused = refusal(values.unit_price, value)

    assert (refused.field, refused.detail, str(refused)) == ("unit_price", detail, f"unit_price {detail}")


@pytest.mark.parametrize("value", [10000.0, 0.1, float("nan"), True, False, "10000", None, [1], 1 + 0j], ids=repr)
@pytest.mark.parametrize("check", [values.total_amount, values.unit_price, values.quantity])
def test_only_int_and_decimal_are_numbers(check: Callable[[Any], object], value: object) -> None:
    assert refusal(check, value).field == check.__name__


@pytest.mark.parametrize("value", [0, Decimal("0.00"), Decimal("-0")], ids=str)
def test_a_total_amount_is_more_than_nothing(value: Decimal | int) -> None:
    refused = refusal(values.total_amount, value)

    assert (refused.field, refused.detail) == ("total_amount", "must be greater than 0")


@pytest.mark.parametrize("value", [Decimal("0.01"), Decimal("999999999999.99")], ids=str)
def test_a_total_amount_may_be_as_small_or_large_as_an_amount(value: Decimal) -> None:
    assert values.total_amount(value) == value


def test_amounts_do_not_depend_on_the_decimal_context_of_the_caller() -> None:
    with localcontext(prec=5):
        assert str(values.unit_price(Decimal("999999999999.99"))) == "999999999999.99"


@settings(deadline=None)
@given(st.one_of(st.decimals(), st.decimals(min_value=0, max_value=10**12, places=2), st.integers()))
def test_an_amount_is_refused_or_kept_exactly(value: Decimal | int) -> None:
    try:
        amount = values.unit_price(value)
    except InvalidValue:
        return
    assert amount == value
    assert amount.as_tuple().exponent == -2
    assert not amount.is_signed()


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=99_999_999_999_999))
def test_every_amount_of_whole_cents_is_accepted(cents: int) -> None:
    value = Decimal(cents) / 100

    assert values.unit_price(value) == value


@pytest.mark.parametrize(
    ("value", "quantity"),
    [
        (1, 1),
        (1_000_000, 1_000_000),
        (Decimal("2.0"), 2),
        (Decimal("1E+6"), 1_000_000),
        (Decimal("3.00000000000000000000000000000000000"), 3),
    ],
    ids=str,
)
def test_a_quantity_is_a_whole_number(value: Decimal | int, quantity: int) -> None:
    checked = values.quantity(value)

    assert checked == quantity
    assert type(checked) is int


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (0, WHOLE),
        (Decimal("-0"), WHOLE),
        (-1, WHOLE),
        (1_000_001, WHOLE),
        (2**40, WHOLE),
        (Decimal("1.5"), WHOLE),
        (Decimal("0.5"), WHOLE),
        (Decimal("1.0000000000000000000000000000000001"), WHOLE),
        (Decimal("1E400"), WHOLE),
        (Decimal("1E-400"), WHOLE),
        (Decimal("NaN"), FINITE),
        (Decimal("Infinity"), FINITE),
    ],
    ids=str,
)
def test_a_quantity_outside_the_rules_is_refused(value: Decimal | int, detail: str) -> None:
    refused = refusal(values.quantity, value)

    assert (refused.field, refused.detail) == ("quantity", detail)


TEXTS = [
    pytest.param(values.customer_name, 200, id="customer_name"),
    pytest.param(values.product_name, 200, id="product_name"),
    pytest.param(values.reason, 1000, id="reason"),
    pytest.param(values.tracking_number, 100, id="tracking_number"),
]
every_text = pytest.mark.parametrize(("check", "longest"), TEXTS)


@every_text
def test_a_text_may_be_one_character_long_or_as_long_as_allowed(check: Callable[[Any], str], longest: int) -> None:
    assert check("あ") == "あ"
    assert check("あ" * longest) == "あ" * longest


@every_text
def test_a_longer_text_is_refused(check: Callable[[Any], str], longest: int) -> None:
    refused = refusal(check, "あ" * (longest + 1))

    assert (refused.field, refused.detail) == (check.__name__, f"must be at most {longest} characters long")


@pytest.mark.parametrize(
    "text",
    ["", " ", "\t\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\u2060", "\ufeff", "\u00ad", " \u3000\u200b "],
    ids=ascii,
)
@every_text
def test_a_text_of_nothing_to_see_is_blank(check: Callable[[Any], str], longest: int, text: str) -> None:
    refused = refusal(check, text)

    assert (refused.field, refused.detail) == (check.__name__, "must not be blank")


@pytest.mark.parametrize("text", ["\x00", "山田\x00太郎", "\ud800", "山田\udfff", "\udc00太郎"], ids=ascii)
@every_text
def test_a_text_that_postgresql_cannot_store_is_refused(check: Callable[[Any], str], longest: int, text: str) -> None:
    refused = refusal(check, text)

    assert (refused.field, refused.detail) == (
        check.__name__,
        "must not contain NUL characters or lone surrogates",
    )


@pytest.mark.parametrize("value", [None, 1, True, b"name", ["name"]], ids=repr)
@every_text
def test_only_strings_are_texts(check: Callable[[Any], str], longest: int, value: object) -> None:
    refused = refusal(check, value)

    assert (refused.field, refused.detail) == (check.__name__, "must be a string")


@pytest.mark.parametrize("text", [" 山田 太郎 ", "山田\u3000太郎", "O'Brien", "𠮷野家", "👩\u200d👧", "e\u0301"])
def test_a_text_is_kept_as_it_was_given(text: str) -> None:
    assert values.customer_name(text) == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=210))
def test_a_text_is_refused_or_survives_utf8_and_json(text: str) -> None:
    try:
        name = values.customer_name(text)
    except InvalidValue:
        return
    assert name.encode().decode() == text
    assert json.loads(json.dumps(name)) == text
    assert name.strip()
    assert "\x00" not in name


@pytest.mark.parametrize("text", ["0", "ORDER-001", "a.b_c~d", "019b76da-a800-7000-8000-000000000001", "x" * 64])
def test_an_order_id_is_made_of_characters_that_urls_take_as_they_are(text: str) -> None:
    assert values.order_id(text) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ".",
        "..",
        "-x",
        "x" * 65,
        "a b",
        "a/b",
        "a?b",
        "a%20b",
        "ORDER-001\n",
        "\x00",
        "注文",
        "１",
        "é",
        None,
        1,
        b"ORDER-001",
    ],
    ids=ascii,
)
def test_any_other_order_id_is_refused(value: object) -> None:
    refused = refusal(values.order_id, value)

    assert (refused.field, refused.detail) == (
        "order_id",
        "must be 1 to 64 letters, digits, '-', '.', '_' or '~', the first a letter or digit",
    )


@pytest.mark.parametrize("hours", [-12, 0, 9, 14])
def test_a_time_of_any_zone_becomes_utc(hours: int) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=hours)))

    moment = values.moment(elsewhere)

    assert moment == NOON
    assert moment.isoformat() == "2026-01-01T12:00:00+00:00"


def test_a_time_without_a_zone_is_refused() -> None:
    refused = refusal(values.moment, NOON.replace(tzinfo=None))

    assert (refused.field, refused.detail) == ("now", "must carry a time zone")


def test_no_time_is_the_time_it_is() -> None:
    before = datetime.now(UTC)
    moment = values.moment(None)

    assert before <= moment <= datetime.now(UTC)
    assert moment.tzinfo is UTC


def test_a_wrong_value_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^reason must not be blank$"):
        values.reason("")


CHECKS = [values.customer_name, values.product_name, values.reason, values.tracking_number]
CONTROLS = [chr(code) for code in (*range(1, 0x20), *range(0x7F, 0xA0))]
DIRECTIONS = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize("check", CHECKS)
def test_what_a_terminal_obeys_is_refused(check: Callable[[Any], object]) -> None:
    for character in (*CONTROLS, *DIRECTIONS):
        if check is values.reason and character in "\t\n":
            continue
        for value in (f"a{character}", f"{character}a", f"a{character}b"):
            assert "must not contain control characters" in refusal(check, value).detail, repr(value)


@pytest.mark.parametrize("value", ["a\nb", "a\tb", "a\n\n\tb\n"], ids=repr)
def test_a_reason_may_have_lines(value: str) -> None:
    assert values.reason(value) == value


@pytest.mark.parametrize("value", ["山田　太郎", "👩\u200d👧", "ab\u200fג", "カ\u3099", "a\u00a0b"], ids=ascii)
def test_what_people_write_is_kept_as_it_is(value: str) -> None:
    for check in CHECKS:
        assert check(value) == value


def test_a_name_of_long_ago_can_be_looked_for() -> None:
    assert values.name_to_find("a\x1b\u202eb") == "a\x1b\u202eb"


@pytest.mark.parametrize("name", ["e\u0301" * 200, "\u0958" * 200], ids=["shorter in NFC", "longer in NFC"])
def test_a_name_to_find_may_be_as_long_as_an_events_in_either_form(name: str) -> None:
    assert normalize("NFC", values.name_to_find(name)) == normalize("NFC", name)
    with pytest.raises(InvalidValue, match="at most 200 characters"):
        values.name_to_find(name + "a" * 201)
