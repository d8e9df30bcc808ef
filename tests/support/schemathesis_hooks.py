"""What a JSON Schema cannot say of valid values, and what keeps one request from spoiling another."""

import re
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

from core.event_sourcing import feed
from core.read_models.summary import PageEnd
from core.webhooks.sending import LONGEST_URL
from webapp.api.cursor import encode_cursor
from webapp.api.header_fields import IDEMPOTENCY_KEY, REQUEST_HEADERS

# `as_of` must not be in the future.
times = st.datetimes(datetime(2000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
cursors = st.builds(PageEnd, times, st.just("ORDER-001")).map(encode_cursor)

URL = "https://shop.example/"

without_tag = cycle([True, True, True, True, False])

schemathesis.openapi.format("date-time", times.map(datetime.isoformat))
schemathesis.openapi.format("cursor", cursors)
schemathesis.openapi.format(
    "webhook-url", st.sampled_from([URL, URL.ljust(LONGEST_URL - 1, "a"), URL.ljust(LONGEST_URL, "a")])
)
schemathesis.openapi.format("feed-cursor", st.just(feed.encode(feed.START)))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A key that comes twice by chance is what the service must refuse; and a second is wait enough."""
    headers = case.headers or {}
    if re.fullmatch(REQUEST_HEADERS[IDEMPOTENCY_KEY]["schema"]["pattern"], str(headers.get(IDEMPOTENCY_KEY, ""))):
        headers[IDEMPOTENCY_KEY] = str(uuid4())
    # The coverage phase takes a bare 0 for text that the pattern allows, which wants quotes.
    if case.meta.generation.mode == GenerationMode.POSITIVE and str(headers.get("If-Match")) == "0":
        headers["If-Match"] = '"1"'
    # Chains choose any earlier answer to go on from; with its ETag, hardly one would come to its end.
    if case.meta.phase.name == TestPhase.STATEFUL and next(without_tag):
        headers.pop("If-Match", None)
    if "wait=" in str(headers.get("Prefer", "")):
        headers["Prefer"] = "wait=1"
