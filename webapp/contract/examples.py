"""One order of the examples, as requests and answers show it; the tests hold each to its schema."""

from decimal import Decimal
from typing import Any

ORDER_ID = "019a5e3c-2b1f-7c40-9d51-7a2f5f3b8c1e"

PLACE_ORDER = {"customer_name": "山田太郎", "total_amount": Decimal("83000.00")}
ADD_ITEM = {"product_name": "ノートPC", "quantity": 1, "unit_price": Decimal("80000.00")}
CANCEL_ORDER = {"reason": "顧客都合"}
SHIP_ORDER = {"tracking_number": "TRACK-12345678"}


def accepted(version: int) -> dict[str, Any]:
    return {"order_id": ORDER_ID, "version": version, "position": 40 + version}


SUMMARY: dict[str, Any] = {
    "order_id": ORDER_ID,
    "customer_name": "山田太郎",
    "status": "pending",
    "total_amount": Decimal("83000.00"),
    "placed_at": "2026-01-31T09:00:00Z",
    "confirmed_at": None,
    "shipped_at": None,
    "cancelled_at": None,
    "tracking_number": None,
    "cancel_reason": None,
    "version": 2,
}
ITEM = {**ADD_ITEM, "subtotal": Decimal("80000.00")}
DETAILS = {**SUMMARY, "items": [ITEM], "items_total": Decimal("80000.00")}
PAGE = {"orders": [SUMMARY], "next_cursor": None}
STATISTICS = {
    "total_count": 1,
    "pending_count": 1,
    "confirmed_count": 0,
    "shipped_count": 0,
    "cancelled_count": 0,
    "total_revenue": Decimal("0.00"),
}
CHANGES = [
    {"field": "items_total", "before": Decimal("0.00"), "after": Decimal("80000.00")},
    {"field": "items/0", "before": None, "after": {"version": 2, **ITEM}},
]
AUDIT_TRAIL = {
    "order_id": ORDER_ID,
    "events": [
        {
            "version": 2,
            "position": 42,
            "event_type": "OrderItemAdded",
            "occurred_at": "2026-01-31T09:01:00Z",
            "actor": "shop",
            "correlation_id": "0b8f2a3c-shop-17",
            "causation_id": "019a5e3d-1556-7d02-a5f6-5f4a0c1c9b7d",
            "sentence": "1 x ノートPC at 80,000.00 added.",
            "changes": CHANGES,
        }
    ],
}
DIFF = {"order_id": ORDER_ID, "from_version": 1, "to_version": 2, "changes": CHANGES}
READY = {"status": "ready", "checks": {"postgresql": "ok", "redis": "ok", "catch_up": "ok"}}
