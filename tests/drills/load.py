"""Clients that place orders and bring them on over HTTP until told to stop, and write a journal of it."""

import http.client
import json
import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Self

from tests.drills.journal import Journal

CLIENTS = 6
ANSWER_SECONDS = 30
PAUSE_AFTER_FAILURE = 0.05  # of the connection
PAUSE_AFTER_ERROR = 0.2  # the service said that it cannot now
SHARED = 0.2  # of the items go to an order of some client, so that commands on one order meet

Command = tuple[str, str, dict[str, Any]]  # tag, path, body


class Load:
    """Runs while its block does. `ports` are those of the web processes; a client changes over when one fails."""

    def __init__(self, ports: Sequence[int], journal: Journal, seed: int) -> None:
        self._stopping = threading.Event()
        newest: deque[str] = deque(maxlen=50)
        self._clients = [
            threading.Thread(target=Client(number, ports, journal, seed, newest, self._stopping).run, daemon=True)
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for client in self._clients:
            client.join()


class Client:
    def __init__(
        self,
        number: int,
        ports: Sequence[int],
        journal: Journal,
        seed: int,
        newest: deque[str],
        stopping: threading.Event,
    ) -> None:
        self._name = f"client-{number}"
        self._random = random.Random(f"{seed} {number}")
        self._ports = ports
        self._journal = journal
        self._newest = newest
        self._stopping = stopping
        self._sent = 0
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._stopping.is_set():
            order_id = self._send(self._place())
            if order_id is None:
                continue
            self._newest.append(order_id)
            for command in self._later_life(order_id):
                if self._stopping.is_set():
                    break
                self._send(command)
        self._disconnect()

    def _place(self) -> Command:
        tag = self._tag()
        return tag, "/orders", {"customer_name": tag, "total_amount": self._random.randint(1, 10**6)}

    def _later_life(self, order_id: str) -> Iterator[Command]:
        for _ in range(self._random.randint(1, 5)):
            shared = self._random.random() < SHARED
            tag = self._tag()
            price = self._random.randint(0, 10**6) / 4
            item = {"product_name": tag, "quantity": self._random.randint(1, 9), "unit_price": price}
            yield tag, f"/orders/{self._random.choice(self._newest) if shared else order_id}/add_item", item
        if self._random.random() < 0.8:
            yield f"{order_id} confirmed", f"/orders/{order_id}/confirm", {}
        tag = self._tag()
        if self._random.random() < 0.7:
            yield tag, f"/orders/{order_id}/ship", {"tracking_number": tag}
        else:
            yield tag, f"/orders/{order_id}/cancel", {"reason": tag}

    def _tag(self) -> str:
        self._sent += 1
        return f"{self._name} command-{self._sent}"

    def _send(self, command: Command) -> str | None:
        """The order's id if the command was acknowledged."""
        tag, path, body = command
        try:
            connection = self._connect()
        except OSError:
            self._fail_over()
            return None
        self._journal.send(tag)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            document = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._fail_over()
            return None
        return self._note(tag, answer.status, document)

    def _note(self, tag: str, status: int, document: dict[str, Any]) -> str | None:
        if status < 300:
            self._journal.acknowledge(tag, document["order_id"], document["version"])
            return str(document["order_id"])
        if status < 500:
            self._journal.refuse(tag)
        else:
            self._stopping.wait(PAUSE_AFTER_ERROR)
        return None

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            port = self._random.choice(self._ports)
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        if self._connection.sock is None:
            self._connection.connect()
        return self._connection

    def _fail_over(self) -> None:
        self._disconnect()
        self._stopping.wait(PAUSE_AFTER_FAILURE)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
