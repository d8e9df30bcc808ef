"""Celery's settings, but for the broker's, which worker/app.py takes from the environment.

A task is a hint that an order has news; catch-up finds what hints miss, so tasks may be lost."""

from datetime import UTC, datetime

from kombu import Exchange, Queue

imports = ["worker.tasks", "worker.webhooks", "worker.rebuilding"]

# Ids in JSON, nothing else; nobody waits for a result.
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
result_backend = None

# Catch-up has a queue of its own, which rebuilds share: workers take from the two in turn, so that it does not wait
# behind hints. Webhooks have one too, and a process of their own: the Procfile says who takes which.
# RabbitMQ's own queues outlive it, as its later releases want all shared queues to; the hints in them need not.
task_default_queue = "orderlog"
task_default_delivery_mode = "transient"
QUEUES = ("orderlog", "orderlog.catch-up", "orderlog.webhooks")
task_queues = [Queue(name, Exchange("orderlog"), routing_key=name) for name in QUEUES]
task_routes = {
    "worker.tasks.catch_up": {"queue": "orderlog.catch-up"},
    "worker.rebuilding.rebuild_read_model": {"queue": "orderlog.catch-up"},
    "worker.rebuilding.resume_rebuilds": {"queue": "orderlog.catch-up"},
    "worker.webhooks.deliver_webhook": {"queue": "orderlog.webhooks"},
}
worker_send_task_events = True  # Flower shows tasks from these
task_send_sent_event = False
worker_hijack_root_logger = True
enable_utc = True
timezone = "UTC"

# Chosen by measurement; docs/decisions.md has the figures. Threads would share one interpreter with the consumer.
# Prefetching more gains little, and what is prefetched is what a killed worker takes along.
worker_pool = "prefork"
worker_prefetch_multiplier = 4

# Acknowledged before it runs. Late is no faster (298 against 299 tasks per s, medians of four runs in turns) and no
# safer: what a killed worker held comes back only after the hour of the visibility timeout; catch-up needs two seconds.
# So on Redis nothing is kept to be acknowledged (`ack_emulation`), which took a third of the worker's main process.
task_acks_late = False

# A broker that is away when a process starts, or goes away, is waited for, and tried every second (worker/amqp.py).
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
worker_cancel_long_running_tasks_on_connection_loss = False

# A catch-up that nobody took is dropped in the end, so that few of them wait for workers that come back. Whether it is
# too old the worker tells by its own clock from the time that Beat gave, and the clocks of two machines may differ.
CATCH_UP_SECONDS = 2.0
RESUME_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
CLOCKS_DIFFER = 300.0  # seconds, at the most
SOON = {"timeout": 3, "confirm_timeout": 3}  # seconds, for RabbitMQ to take it
beat_schedule = {
    "catch-up": {
        "task": "worker.tasks.catch_up",
        "schedule": CATCH_UP_SECONDS,
        "last_run_at": datetime(2026, 1, 1, tzinfo=UTC),  # so it is due as soon as Beat starts
        "options": {"expires": CATCH_UP_SECONDS + CLOCKS_DIFFER, **SOON},
    },
    "resume-rebuilds": {
        "task": "worker.rebuilding.resume_rebuilds",
        "schedule": RESUME_SECONDS,
        "options": {"expires": RESUME_SECONDS + CLOCKS_DIFFER, **SOON},
    },
    "prune-webhooks": {
        "task": "worker.webhooks.prune_webhooks",
        "schedule": PRUNE_SECONDS,
        "options": {"expires": PRUNE_SECONDS + CLOCKS_DIFFER, **SOON},
    },
    "prune-idempotency-keys": {
        "task": "worker.tasks.prune_idempotency_keys",
        "schedule": PRUNE_SECONDS,
        "options": {"expires": PRUNE_SECONDS + CLOCKS_DIFFER, **SOON},
    },
}
