"""What a JSON Schema cannot say of valid values, and what keeps one request from spoiling another."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

from core.read_models.summary import PageEnd
from webapp.cursor import encode_cursor

# `as_of` must not be in the future.
times = st.datetimes(datetime(2000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
cursors = st.builds(PageEnd, times, st.just("ORDER-001")).map(encode_cursor)

schemathesis.openapi.format("date-time", times.map(datetime.isoformat))
schemathesis.openapi.format("cursor", cursors)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """The contract's example key in every request is what the service must refuse; and a second is wait enough."""
    if case.headers and case.headers.get("Idempotency-Key") == "6f1c9a52-7d0e-4c7b-9d4e-0b8f2a3c5d17":
        case.headers["Idempotency-Key"] = str(uuid4())
    if case.headers and "wait=" in str(case.headers.get("Prefer", "")):
        case.headers["Prefer"] = "wait=1"
