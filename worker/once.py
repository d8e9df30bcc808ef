"""What a process makes once, when it is first needed: after any fork, and only by one of its threads."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Once(Generic[Made]):
    """Calling it makes it or returns it; `made` is None until then."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self.made: Made | None = None
        self._make = make
        self._making = Lock()

    def __call__(self) -> Made:
        with self._making:
            if self.made is None:
                self.made = self._make()
            return self.made
