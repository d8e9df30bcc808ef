"""Every row of the result, with what it has to reach. A row's figure is ours over what is beside it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`unit` is that of both sides; where nothing is `beside`, our side alone is the figure.

    A row without a target is there to be known."""

    name: str
    group: str
    ours: str
    beside: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def has_target(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def wanted(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else "to be known"

    def reached_by(self, figure: float) -> bool:
        if self.at_least is not None:
            return figure >= self.at_least
        return self.at_most is None or figure <= self.at_most


ROWS = (
    Row(
        name="append_vs_pgbench_c16",
        group="append",
        ours="event store, 16 threads in 2 processes",
        beside="pgbench, plain INSERT + commit, 16 clients",
        unit="appends/s",
        at_least=0.35,
    ),
    Row(
        name="append_vs_eventsourcing_c8",
        group="append",
        ours="event store, 8 threads",
        beside="eventsourcing 9.5 with its database functions, 8 threads",
        unit="appends/s",
        at_least=5,
    ),
    Row(
        name="command_vs_eventsourcing_c1",
        group="command",
        ours="ConfirmOrder, one thread",
        beside="the same in eventsourcing 9.5",
        unit="commands/s",
        at_least=1.5,
    ),
    Row(
        name="post_vs_floor",
        group="post",
        ours="POST /orders with API and idempotency keys, no rate limits, 16 connections",
        beside="bare Flask view, one INSERT + one apply_async",
        unit="requests/s",
        at_least=1.0,
    ),
    Row(
        name="post_p99_ms_vs_floor",
        group="post",
        ours="POST /orders with keys, no rate limits, p99",
        beside="bare Flask view, p99",
        unit="ms",
        at_most=1.2,
    ),
    Row(
        name="post_with_limits_vs_without",
        group="post",
        ours="POST /orders with keys, requests counted for the rate limits",
        beside="the same with RATE_LIMIT=off",
        unit="requests/s",
        at_least=0.9,
    ),
    Row(
        name="post_with_streams_vs_without",
        group="post",
        ours="POST /orders with keys, 200 live streams of other events open",
        beside="the same without streams",
        unit="requests/s",
        at_least=0.95,
    ),
    Row(
        name="project_vs_empty_task",
        group="project",
        ours="new orders into both read models",
        beside="empty tasks, same worker",
        unit="tasks/s",
        at_least=0.9,
    ),
    Row(
        name="visible_p99_vs_task_roundtrip",
        group="project",
        ours="commit to visible in both read models, half load, p99",
        beside="empty task from enqueue to done, same load, p99",
        unit="ms",
        at_most=2,
    ),
    Row(
        name="rebuild_vs_sql",
        group="rebuild",
        ours="flask rebuild, both read models, from empty",
        beside="one SQL GROUP BY, summary table only, its indexes made at the end",
        unit="events/s",
        at_least=0.2,
    ),
    Row(
        name="rebuild_vs_row_by_row",
        group="rebuild",
        ours="flask rebuild, both read models, from empty",
        beside="event by event through an ORM",
        unit="events/s",
        at_least=200,
    ),
    Row(
        name="rebuild_peak_mb",
        group="rebuild",
        ours="flask rebuild of the most events, peak memory of its process",
        beside="",
        unit="MB",
        at_most=200,
    ),
    Row(
        name="feed_vs_sql",
        group="feed",
        ours="GET /events in pages of 1000, one follower",
        beside="the same rows by one SELECT … ORDER BY with psycopg",
        unit="events/s",
        at_least=0.25,
    ),
    Row(
        name="feed_last_vs_first",
        group="feed",
        ours="GET /events in pages of 1000, the last tenth of the log",
        beside="the first tenth",
        unit="events/s",
        at_least=0.8,
    ),
    Row(
        name="stream_p99_ms",
        group="feed",
        ours="GET /events/stream, commit to client, nothing else going on and no worker, p99",
        beside="",
        unit="ms",
        at_most=200,
    ),
    Row(
        name="list_1m_vs_1k",
        group="size",
        ours="GET /orders, pages of 50, large database",
        beside="small database",
        unit="ms",
        at_most=1.5,
    ),
    Row(
        name="statistics_1m_vs_1k",
        group="size",
        ours="GET /orders/statistics, large database",
        beside="small database",
        unit="ms",
        at_most=1.5,
    ),
    Row(
        name="details_1m_vs_1k",
        group="size",
        ours="GET /orders/<id>, large database",
        beside="small database",
        unit="ms",
        at_most=1.5,
    ),
    Row(
        name="as_of_order_1m",
        group="size",
        ours="GET /orders/<id>?as_of=, large database",
        beside="plain GET /orders/<id>, large database",
        unit="ms",
        at_most=3,
    ),
    Row(
        name="catch_up_idle_1m_vs_1k",
        group="size",
        ours="catch-up with no news, large database",
        beside="small database",
        unit="ms",
        at_most=1.5,
    ),
    Row(
        name="load_10k_vs_10",
        group="size",
        ours="AddOrderItem on a long order",
        beside="on an order of 10 events",
        unit="ms",
        at_most=3,
    ),
)

EXTRA_ROWS = (
    Row(
        name="rebuild_vs_sql_in_place",
        group="rebuild",
        ours="flask rebuild, both read models, from empty",
        beside="the same SQL into a table with its indexes, as ours is",
        unit="events/s",
    ),
    Row(
        name="append_vs_eventsourcing_default_c8",
        group="append",
        ours="event store, 8 threads",
        beside="eventsourcing 9.5 as it comes, 8 threads",
        unit="appends/s",
    ),
)

ROW = {row.name: row for row in ROWS}
EXTRA_ROW = {row.name: row for row in EXTRA_ROWS}
