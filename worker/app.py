"""The Celery application; reads its configuration when first used, and connects to nothing until then."""

import signal
from typing import Any

from celery import Celery, signals

from core.settings import is_redis
from worker import task_logs
from worker.settings import settings

# A broker whose connections have gone silent, as after a failover, is tried again; without the times nobody would
# notice. RabbitMQ and a worker give each other up after two heartbeats that did not come. All are in seconds.
REDIS = {
    "broker_transport": "worker.redis_transport:Transport",
    "broker_transport_options": {
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "socket_timeout": 3,
        "health_check_interval": 3,
        "ack_emulation": False,
    },
}
RABBITMQ = {"broker_heartbeat": 4, "broker_connection_timeout": 3}


def broker() -> dict[str, Any]:
    url = settings().broker_url
    return {"broker_url": url, **(REDIS if is_redis(url) else RABBITMQ)}


def prepare_beat(**_: Any) -> None:
    """Beat publishes and never reads, so it would not notice a RabbitMQ that is silent; Redis has no such option.

    SIGTERM ends it at once: it has nothing to save, and the SystemExit that Celery's handler raises is lost if it falls
    into a finalizer, as happens while Beat tries a broker that is away."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "confirm_publish": True}


app = Celery("orderlog", amqp="worker.amqp:AMQP")
app.config_from_object("celeryconfig")
app.add_defaults(broker)
task_logs.connect()
signals.beat_init.connect(prepare_beat)
