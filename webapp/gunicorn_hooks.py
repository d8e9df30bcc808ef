"""What gunicorn's command line cannot say: its own lines look like all others."""

import logging

from core.logs import chosen_formatter


def on_starting(_server: object) -> None:
    """Before it forks."""
    for handler in logging.getLogger("gunicorn.error").handlers:
        handler.setFormatter(chosen_formatter())
