"""Connections that are tried again soon; kombu waits two seconds longer each time, up to half a minute."""

from typing import Any

from celery.app import amqp
from kombu import Connection

PAUSES = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 1.0}  # seconds


class PromptConnection(Connection):
    """Workers and Beat wait by this method for a broker that is away, and the read side waits for them."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        return super().ensure_connection(*args, **{**PAUSES, **kwargs})


class AMQP(amqp.AMQP):
    Connection = PromptConnection
