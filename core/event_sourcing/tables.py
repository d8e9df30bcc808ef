"""The tables of the event store: the log, which nothing ever changes, and snapshots, which may be deleted any time."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from core.database import XID8, metadata

events = Table(
    "events",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("transaction_id", XID8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("aggregate_id", Text, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_data", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("epoch", Integer, nullable=False, server_default=text("log_epoch()")),
    UniqueConstraint("aggregate_id", "version"),
    Index(None, "epoch", "transaction_id", "position"),
)

# Transaction ids begin low in another cluster. The function `log_epoch()` begins an epoch when it finds the log in one
# that cannot have given out its ids; within an epoch they tell the order of commits.
log_epochs = Table(
    "log_epochs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("system_identifier", BigInteger, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

order_snapshots = Table(
    "order_snapshots",
    metadata,
    Column("aggregate_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("shape", Integer, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("state", JSONB, nullable=False),
)
