"""HTTP as an ordinary client speaks it: a kept connection per thread, JSON both ways."""

import http.client
import json
import threading
from collections.abc import Mapping
from typing import Any

ANSWER_SECONDS = 30.0


class UnexpectedAnswer(Exception):
    """An answer that is not the one that the load has earned."""


class Client:
    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._headers = {"Authorization": authorization, "Content-Type": "application/json"}
        self._own = threading.local()

    def get(self, path: str, **headers: str) -> Any:
        return self._send("GET", path, None, headers)

    def post(self, path: str, body: Mapping[str, object], **headers: str) -> Any:
        return self._send("POST", path, json.dumps(body), headers)

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Any:
        """The answer's document. Raises UnexpectedAnswer, OSError, HTTPException; header names have _ for -."""
        connection = self._connection()
        every = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            connection.request(method, path, body, every)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if answer.status not in (200, 201):
            raise UnexpectedAnswer(f"{method} {path}: {answer.status} {content.decode()}")
        return json.loads(content)

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        connection: http.client.HTTPConnection = self._own.connection
        return connection
