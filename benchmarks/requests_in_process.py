"""Requests handled in this process, without a network or a client: only the server's own time is left."""

import atexit
import logging
import os
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from benchmarks.servers import SERVED_AS_IN_PRODUCTION, bearer_of_new_key
from core.database import engine_options
from webapp import create_app


class Answers:
    """Calls the application as a WSGI server does, by requests made beforehand, in turns."""

    def __init__(self, app: Flask, paths: Sequence[str], authorization: str) -> None:
        self._app = app
        self._environs = cycle([_environ(path, authorization) for path in paths])
        self._status = ""

    def __call__(self) -> None:
        """Raises RuntimeError if the answer is not 200."""
        answer = self._app({**next(self._environs)}, self._start)
        content = b"".join(answer)
        if not self._status.startswith("200"):
            raise RuntimeError(f"{self._status} {content.decode()}")

    def _start(self, status: str, _headers: object, _error: object = None) -> Callable[[bytes], object]:
        self._status = status
        return lambda _: None


class App:
    """The service over one database, with keys and limits as in production."""

    def __init__(self, database_url: str) -> None:
        limit = SERVED_AS_IN_PRODUCTION["RATE_LIMIT"]
        config = {"SQLALCHEMY_ENGINE_OPTIONS": engine_options(database_url), "AUTH": True, "RATE_LIMIT": limit}
        self._app = create_app(config)
        _drop_log_lines()
        self._authorization = bearer_of_new_key(database_url)

    def get(self, paths: Sequence[str]) -> Answers:
        return Answers(self._app, paths, self._authorization)


def _drop_log_lines() -> None:
    """They cost what they cost in production, but nobody wants to read them here."""
    dropped = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives
    atexit.register(dropped.close)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(dropped)


def _environ(path: str, authorization: str) -> dict[str, Any]:
    headers = [("Authorization", authorization)]
    builder = EnvironBuilder(path=path, headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"})
    try:
        return dict(builder.get_environ())
    finally:
        builder.close()
