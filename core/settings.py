"""Where the service's servers are, from the environment; beside a running `make run`, from what it wrote down."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class MissingSetting(Exception):
    """A setting without which nothing can start; the message says how to give it."""


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str
    redis_url: str

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises MissingSetting."""
        local = _local_urls(Path(environment.get("DATA_DIR") or "var"))
        return cls(
            database_url=_url("DATABASE_URL", environment, local.get("database_url")),
            redis_url=_url("REDIS_URL", environment, local.get("redis_url")),
        )


def _url(name: str, environment: Mapping[str, str], local: str | None) -> str:
    url = environment.get(name) or local
    if not url:
        raise MissingSetting(f"{name} is not set and no `make run` is up here: set it, or start `make run`.")
    return url


def _local_urls(data_dir: Path) -> dict[str, str]:
    """The URLs that `make run` writes while its servers are up, so that commands in another shell find them."""
    try:
        urls: dict[str, str] = json.loads((data_dir / "local.json").read_text())
    except FileNotFoundError:
        return {}
    return urls
