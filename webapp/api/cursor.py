"""The opaque text by which a client asks for the page after the one it has."""

import base64
import binascii
import json
from datetime import datetime, timedelta

from core.orders import values
from core.orders.errors import InvalidValue
from core.read_models.summary import PageEnd


def encode_cursor(end: PageEnd) -> str:
    parts = json.dumps([end.placed_at.isoformat(), end.order_id])
    return base64.urlsafe_b64encode(parts.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> PageEnd:
    """Raises InvalidValue for anything that `encode_cursor` did not make."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        placed_at, order_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        end = PageEnd(datetime.fromisoformat(placed_at), values.order_id(order_id))
        if end.placed_at.utcoffset() != timedelta(0) or encode_cursor(end) != text:
            raise ValueError("not made here")
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise InvalidValue("cursor", "must be the next_cursor of an earlier answer") from error
    return end
