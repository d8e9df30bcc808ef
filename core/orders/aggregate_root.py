"""What every event-sourced aggregate has: a version, and events that are not stored yet."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

Event = TypeVar("Event")


class AggregateRoot(ABC, Generic[Event]):
    """`version` is that of the last event, stored or not; 0 before the first."""

    def __init__(self) -> None:
        self.version = 0
        self.uncommitted_events: list[Event] = []

    @abstractmethod
    def apply(self, event: Event) -> None:
        """Change the state as the event says; `version` is already that of this event.

        Never refuses: the event has happened."""

    def record(self, event: Event) -> None:
        """Take a new event: apply it and keep it until it is stored."""
        self.replay([event])
        self.uncommitted_events.append(event)

    def replay(self, events: Iterable[Event]) -> None:
        """Apply events that have been stored, in the order of their versions."""
        for event in events:
            self.version += 1
            self.apply(event)

    @property
    def committed_version(self) -> int:
        """The version the store is expected to have when the uncommitted events are appended."""
        return self.version - len(self.uncommitted_events)
