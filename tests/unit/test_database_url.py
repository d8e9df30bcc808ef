"""Database URLs as hosts hand them out: what they say reaches the driver."""

import pytest

from core.database import CONNECTING, connection_arguments


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_postgresql_url_is_for_psycopg(scheme: str) -> None:
    url = f"{scheme}://orderlog:p%40ss%2Fword@db.example:6432/orders?sslmode=require"

    assert connection_arguments(url) == {
        **CONNECTING,
        "application_name": "orderlog",
        "client_encoding": "UTF8",
        "user": "orderlog",
        "password": "p@ss/word",
        "host": "db.example",
        "port": "6432",
        "dbname": "orders",
        "sslmode": "require",
    }


def test_a_url_may_name_several_servers() -> None:
    said = connection_arguments("postgresql://u:p@one.example:5433,[::1]/orders?target_session_attrs=read-write")

    assert (said["host"], said["port"]) == ("one.example,::1", "5433,")
    assert said["target_session_attrs"] == "read-write"


def test_what_a_url_says_goes_before_our_own_choice() -> None:
    said = connection_arguments(
        "postgresql://u:p@h/d?connect_timeout=9&application_name=shop&options=-csearch_path%3Ds"
    )

    assert (said["connect_timeout"], said["application_name"], said["options"]) == ("9", "shop", "-csearch_path=s")
    assert said["keepalives_idle"] == CONNECTING["keepalives_idle"]
