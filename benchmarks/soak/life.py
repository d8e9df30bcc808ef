"""What happens to one order of the load, and what is asked about it meanwhile; one request at a time."""

from typing import Any

from uuid_utils import uuid7

from benchmarks.soak.client import Client, UnexpectedAnswer

STEPS = 10
COMMANDS = 5  # of the steps; one more repeats the first
WAIT = "wait=10"


class Life:
    def __init__(self, number: int) -> None:
        self.number = number
        self._step = 0
        self.order_id = ""
        self._key = str(uuid7())

    @property
    def is_over(self) -> bool:
        return self._step == STEPS

    def step(self, client: Client) -> int:
        """The next request; how many events it has stored. A failed one is not repeated."""
        step, self._step = self._step, self._step + 1
        path = f"/orders/{self.order_id}"
        match step:
            case 0 | 1:
                return self._place(client, is_repeated=step == 1)
            case 2:
                return self._expect(1, client.get(f"{path}?min_version=1", Prefer=WAIT))
            case 3 | 4:
                prefer = {"Prefer": WAIT} if step == 3 and self.number % 3 == 0 else {}
                item = {"product_name": f"item {step}", "quantity": step, "unit_price": 41500.5}
                client.post(f"{path}/add_item", item, Idempotency_Key=str(uuid7()), **prefer)
                return 1
            case 5:
                client.get("/orders/statistics" if self.number % 5 == 0 else "/orders?limit=20")
                return 0
            case 6:
                client.post(f"{path}/confirm", {})
                return 1
            case 7:
                return self._expect(4, client.get(f"{path}?min_version=4", Prefer=WAIT))
            case 8:
                return self._end(client, path)
            case _:
                client.get(f"{path}/events" if self.number % 2 else f"{path}?version=2")
                return 0

    def _place(self, client: Client, *, is_repeated: bool) -> int:
        body = {"customer_name": f"Customer {self.number % 1000}", "total_amount": 83000}
        answer = client.post("/orders", body, Idempotency_Key=self._key)
        if is_repeated and answer["order_id"] != self.order_id:
            raise UnexpectedAnswer("A repeated request has placed another order.")
        self.order_id = answer["order_id"]
        return 0 if is_repeated else 1

    def _end(self, client: Client, path: str) -> int:
        if self.number % 2:
            client.post(f"{path}/ship", {"tracking_number": "TRACK-1"})
        else:
            client.post(f"{path}/cancel", {"reason": "顧客都合"})
        return 1

    def _expect(self, version: int, document: Any) -> int:
        if document["version"] < version:
            raise UnexpectedAnswer(f"Version {document['version']} is shown, {version} was asked for.")
        return 0
