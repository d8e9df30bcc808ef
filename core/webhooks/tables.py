"""The tables of webhooks: the endpoints, the orders whose events one has still to get, and what was tried."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from core.database import XID8, metadata

# Events up to (epoch, transaction_id, position) are in `webhook_orders`, or were not wanted. No type means every type.
# `previous_secret` has several secrets, with spaces between, if one was made soon after another.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_because", Text),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", DateTime(timezone=True)),
    Column("epoch", Integer, nullable=False),
    Column("transaction_id", XID8, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("looked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# The order's events from `next_version` to `last_version` have still to be sent; a row goes when all are. Nobody else
# sends one until `taken_until`. Without a next attempt the order is parked.
webhook_orders = Table(
    "webhook_orders",
    metadata,
    Column("webhook_id", Text, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("next_version", Integer, nullable=False),
    Column("last_version", Integer, nullable=False),
    Column("next_attempt_at", DateTime(timezone=True), server_default=func.now()),
    Column("taken_until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("failing_since", DateTime(timezone=True)),
    Column("error", Text),
    Index(None, "webhook_id", "next_attempt_at"),
    Index("webhook_orders_taken_idx", "webhook_id", postgresql_where=text("taken_until IS NOT NULL")),
    Index(
        "webhook_orders_failing_idx",
        "webhook_id",
        postgresql_where=text("failing_since IS NOT NULL AND next_attempt_at IS NOT NULL"),
    ),
)

# Ids are UUIDv7, so they tell the order of attempts.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("attempted_at", DateTime(timezone=True), nullable=False, index=True),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text, nullable=False),
)
