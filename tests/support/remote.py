"""A client of a running web server, with the calls and answers of Flask's test client."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import simplejson
from werkzeug.datastructures import Headers


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    status_code: int
    headers: Headers
    data: bytes

    @property
    def status(self) -> str:
        return str(self.status_code)

    @property
    def content_type(self) -> str | None:
        return self.headers.get("Content-Type")

    @property
    def text(self) -> str:
        return self.data.decode()


class Remote:
    """Each call has a connection of its own, so threads may share it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> RemoteAnswer:
        return self._send("GET", path, None, headers or {})

    def post(self, path: str, json: Any = None, headers: Mapping[str, str] | None = None) -> RemoteAnswer:
        body = simplejson.dumps(json).encode()
        return self._send("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> RemoteAnswer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return RemoteAnswer(answer.status, Headers(answer.getheaders()), answer.read())
        finally:
            connection.close()
