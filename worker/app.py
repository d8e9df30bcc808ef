"""The Celery application; reads its configuration when first used, and connects to nothing until then."""

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


def confirm(**_: Any) -> None:
    """Beat publishes and never reads, so it would not notice a RabbitMQ that is silent; Redis has no such option."""
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "confirm_publish": True}


app = Celery("orderlog", amqp="worker.amqp:AMQP")
app.config_from_object("celeryconfig")
app.add_defaults(broker)
task_logs.connect()
signals.beat_init.connect(confirm)
