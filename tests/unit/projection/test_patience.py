"""How often and with what pauses a failing order is tried again can be set, within reason."""

import pytest

from core.settings import Patience, Settings, WrongSetting

SERVERS = {
    "DATABASE_URL": "postgresql://orderlog:a-long-random-one@db.example/orderlog",
    "REDIS_URL": "redis://:a-long-random-one@broker.example/0",
}


def patience(**environment: str) -> Patience:
    return Settings.load({**SERVERS, **environment}).patience


@pytest.mark.parametrize("value", [{}, {"PROJECTION_ATTEMPTS": "", "PROJECTION_LONGEST_PAUSE": ""}], ids=str)
def test_five_attempts_and_pauses_of_a_second_to_a_minute_unless_set(value: dict[str, str]) -> None:
    assert patience(**value) == Patience(attempts=5, first_pause=1.0, longest_pause=60.0)


def test_each_can_be_set() -> None:
    assert patience(
        PROJECTION_ATTEMPTS="9999", PROJECTION_FIRST_PAUSE="0.25", PROJECTION_LONGEST_PAUSE="86400"
    ) == Patience(attempts=9999, first_pause=0.25, longest_pause=86400.0)


def test_the_least_is_one_attempt_and_no_pause() -> None:
    least = patience(PROJECTION_ATTEMPTS="1", PROJECTION_FIRST_PAUSE="0", PROJECTION_LONGEST_PAUSE="0")

    assert least == Patience(attempts=1, first_pause=0.0, longest_pause=0.0)


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "five", "10000", " 5", "５", "1e2"])
def test_wrong_attempts_are_refused_in_one_sentence(value: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        patience(PROJECTION_ATTEMPTS=value)

    assert str(caught.value) == f"PROJECTION_ATTEMPTS is {value!r}; it must be a whole number from 1 to 9999."


@pytest.mark.parametrize("name", ["PROJECTION_FIRST_PAUSE", "PROJECTION_LONGEST_PAUSE"])
@pytest.mark.parametrize("value", ["-1", "1s", "nan", "inf", "1e3", "100000", ".5", "1.", "1.2345", "1,5"])
def test_wrong_pauses_are_refused_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        patience(**{name: value})

    expected = f"{name} is {value!r}; it must be a number of seconds below 100000, such as 1 or 0.5."
    assert str(caught.value) == expected
