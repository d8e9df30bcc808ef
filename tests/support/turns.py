"""A stretch of wire that counts round trips: how often a client speaks after it has been answered."""

import socket
import threading
from contextlib import suppress
from typing import Self

from sqlalchemy.engine import make_url


class Turns:
    """For one connection; `url` leads through it to the database behind."""

    def __init__(self, database_url: str) -> None:
        self.number = 0
        self._answered = True
        behind = make_url(database_url)
        self._behind = behind.host or "127.0.0.1", behind.port or 5432
        self._listening = socket.create_server(("127.0.0.1", 0))
        here = behind.set(host="127.0.0.1", port=self._listening.getsockname()[1])
        self.url = here.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        threading.Thread(target=self._pass_on, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _pass_on(self) -> None:
        client, _ = self._listening.accept()
        with client, socket.create_connection(self._behind) as server:
            answers = threading.Thread(target=self._answer, args=[server, client], daemon=True)
            answers.start()
            with suppress(OSError):  # either side may go without waiting for the other's last words
                while said := client.recv(65536):
                    self.number += self._answered
                    self._answered = False
                    server.sendall(said)
            with suppress(OSError):  # it has gone already
                server.shutdown(socket.SHUT_WR)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):  # the same
            while said := server.recv(65536):
                self._answered = True
                client.sendall(said)
