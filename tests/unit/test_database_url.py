"""Database URLs as hosts hand them out."""

import pytest

from core.database import sqlalchemy_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_postgresql_url_is_made_to_name_psycopg(scheme: str) -> None:
    url = f"{scheme}://orderlog:p%40ss%2Fword@db.example:6432/orders?sslmode=require"

    assert sqlalchemy_url(url) == ("postgresql+psycopg://orderlog:p%40ss%2Fword@db.example:6432/orders?sslmode=require")
