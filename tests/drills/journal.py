"""What the client knows of each command: acknowledged, refused, or sent without an answer that settles it."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    order_id: str
    version: int


@dataclass(slots=True)
class Journal:
    """By tag. A tag names one command and stands in the event that it makes, so that the event can be told again."""

    acknowledged: dict[str, Acknowledgement] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    refused: int = 0
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def send(self, tag: str) -> None:
        """Written before the command leaves: from here on it may be stored, whatever becomes of the answer."""
        with self._writing:
            self.unknown.add(tag)

    def acknowledge(self, tag: str, order_id: str, version: int) -> None:
        with self._writing:
            self.unknown.remove(tag)
            self.acknowledged[tag] = Acknowledgement(order_id, version)

    def refuse(self, tag: str) -> None:
        """The service has said that nothing was stored."""
        with self._writing:
            self.unknown.remove(tag)
            self.refused += 1

    def last_acknowledged(self) -> list[Acknowledgement]:
        """A copy that may be iterated while clients write on."""
        with self._writing:
            return list(self.acknowledged.values())
