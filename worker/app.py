"""The Celery application; reads celeryconfig.py when first used, and connects to nothing until then."""

from typing import Any

from celery import Celery, signals

from worker import task_logs


def confirm(**_: Any) -> None:
    """Beat publishes and never reads, so it would not notice a RabbitMQ that is silent; Redis has no such option."""
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "confirm_publish": True}


app = Celery("orderlog", amqp="worker.amqp:AMQP")
app.config_from_object("celeryconfig")
task_logs.connect()
signals.beat_init.connect(confirm)
