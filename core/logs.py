"""Log lines of web and workers: JSON for machines or plain for people, with what is bound to the request or task."""

import logging
import logging.config
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from core.safe_errors import OURS, escaped, trace
from core.settings import log_format

logger = logging.getLogger(__name__)

NOTHING: Mapping[str, object] = MappingProxyType({})

_bound: ContextVar[Mapping[str, object]] = ContextVar("log_context", default=NOTHING)


def bind(**fields: object) -> None:
    """Every later line of this request or task has these fields too; `unbind` when it ends."""
    _bound.set({**_bound.get(), **fields})


def unbind() -> None:
    _bound.set(NOTHING)


def bound(name: str) -> object:
    return _bound.get().get(name)


def configure(formatter: str, level: str) -> None:
    """To standard error, uncaught errors too. Libraries are heard from WARNING on."""
    handler = {"class": "logging.StreamHandler", "filters": ["context"], "formatter": formatter}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"context": {"()": AddContext}},
            "formatters": {"json": {"()": JsonLines}, "plain": {"()": PlainLines}},
            "handlers": {"stderr": handler},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {name: {"level": level} for name in OURS},
        }
    )
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda thread: _uncaught(thread.exc_type, thread.exc_value, thread.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
    """Python itself would print the error whole; Ctrl-C is none."""
    if error is not None and isinstance(error, Exception):
        logger.critical("Uncaught error", exc_info=(kind, error, frames))
    else:
        sys.__excepthook__(kind, error or kind(), frames)


def chosen_formatter() -> logging.Formatter:
    """For granian's own lines, by webapp/granian_logs.json."""
    return PlainLines() if log_format() == "plain" else JsonLines()


class AddContext(logging.Filter):
    """Adds the bound fields to the record, as `extra=` does."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in _bound.get().items():
            setattr(record, name, value)
        return True


class JsonLines(JsonFormatter):
    """One object per line: time, level, logger, message, then what was bound or given as `extra`."""

    def __init__(self) -> None:
        super().__init__(
            "%(message)s",
            reserved_attrs=[*RESERVED_ATTRS, "data"],  # Celery's extra: a task's arguments and error, as they come
            json_ensure_ascii=False,
            json_default=str,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = self.formatTime(record)
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return time.replace("+00:00", "Z")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return trace(ei[1])

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))


class PlainLines(logging.Formatter):
    """For a person: the time of day, and the request's id where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = escaped(super().formatMessage(record))
        request_id = getattr(record, "request_id", None)
        return f"{line} [{request_id}]" if request_id else line

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return trace(ei[1])
