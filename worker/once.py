"""What a process makes once, when it is first needed, whichever of its threads needs it. Use it after any fork."""

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

    def forget(self) -> None:
        """Make it anew the next time."""
        self.made = None
