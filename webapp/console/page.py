"""The record of one page of the console. Flask's rules, the bar, the needed scopes and the tests come from it."""

from collections.abc import Callable
from dataclasses import dataclass

from flask.typing import ResponseReturnValue
from flask_babel import LazyString

from core.api_keys import Scope

BLUEPRINT = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`path` is below /console, in Flask's notation; the view's name ends the endpoint, `console.<name>`.

    `scope` is what the signed-in key needs; None is for any key, and an `open` page needs none. A page with a `title`
    stands in the bar."""

    path: str
    view: Callable[..., ResponseReturnValue]
    scope: Scope | None = None
    methods: tuple[str, ...] = ("GET",)
    title: LazyString | None = None
    open: bool = False

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def endpoint(self) -> str:
        return f"{BLUEPRINT}.{self.name}"
