"""The API key that loads send, made as `flask api-keys create` makes it."""

from core import api_keys
from core.api_keys import Scope
from core.command_handler import utc_now
from core.database import session_factory

# The service's default would refuse most of a load from one address and one key; counting costs the same whatever the
# number is.
SERVED_AS_IN_PRODUCTION = {"ORDERLOG_AUTH": "on", "RATE_LIMIT": "6000000/minute"}
WITHOUT_LIMITS = {"ORDERLOG_AUTH": "on", "RATE_LIMIT": "off"}


def bearer_of_new_key(database_url: str) -> str:
    """The value of an Authorization header that may read and write orders."""
    sessions = session_factory(database_url)
    with sessions.begin() as session:
        scopes = {Scope.ORDERS_READ, Scope.ORDERS_WRITE}
        created = api_keys.create(session, "benchmark", scopes, now=utc_now())
    sessions.kw["bind"].dispose()
    return f"Bearer {created.text}"
