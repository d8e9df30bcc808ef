"""Log lines of workers and Beat: what each task is about is bound while it runs, and its end is one line."""

import logging
import sys
import time
from typing import Any

from celery import signals

from core import logs
from core.database import UnusableDatabase, session_factory
from core.durability import report_dangers
from worker.settings import settings

logger = logging.getLogger(__name__)

REQUEST_ID = "orderlog_request_id"  # the header of a task
CELERY_FAILURES = "celery.app.trace"


def connect() -> None:
    """Celery calls these from now on, instead of setting up logging itself."""
    signals.setup_logging.connect(configure)
    signals.celeryd_after_setup.connect(say_dangers)
    signals.worker_ready.connect(report_ready)
    signals.task_prerun.connect(begin)
    signals.task_postrun.connect(end)


def configure(**_: Any) -> None:
    logs.configure(settings().log_format, settings().log_level)
    logging.getLogger(CELERY_FAILURES).addFilter(hide_data)


def hide_data(record: logging.LogRecord) -> bool:
    """Celery's message of a failed task quotes the error and its traceback whole; ours comes from `exc_info`."""
    if record.exc_info and isinstance(record.args, dict):
        record.msg, record.args = "Task %s failed", (record.args.get("name"),)
    return True


def say_dangers(**_: Any) -> None:
    """Once, when the worker starts. Raises SystemExit."""
    sessions = session_factory(settings().database_url, pooled=settings().pooled)
    try:
        report_dangers(sessions)
    except UnusableDatabase as error:
        sys.exit(f"orderlog: {error}")
    sessions.kw["bind"].dispose()  # before the worker forks


def report_ready(sender: Any, **_: Any) -> None:
    """Celery's own line says less than WARNING, and so is not heard."""
    logger.info("%s is ready and takes tasks.", sender.hostname)


def begin(task_id: str, task: Any, args: Any = (), **_: Any) -> None:
    logs.unbind()
    fields = {"task": task.name.rpartition(".")[2], "task_id": task_id, "began": time.perf_counter()}
    if request_id := task.request.get(REQUEST_ID):
        fields["request_id"] = request_id
    if fields["task"] == "project_event":
        fields["order_id"] = args[0]
    logs.bind(**fields)


def end(state: str, **_: Any) -> None:
    """Beat's tasks come every two seconds: those that go well are not worth a line by default."""
    level = logging.INFO if logs.bound("request_id") or state != "SUCCESS" else logging.DEBUG
    logger.log(level, "%s ended: %s", logs.bound("task"), state, extra={"state": state})
    logs.unbind()
