"""What the environment asks of `make run`: ports, the data folder, servers of one's own."""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.servers import CannotStart, free_port, write_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A URL that is None asks for the embedded server; that of a broker, for no other than Redis."""

    port: int
    flower_port: int
    data_dir: Path
    database_url: str | None
    redis_url: str | None
    broker_url: str | None

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> "Choices":
        """Raises CannotStart."""
        port, flower_port = _port("PORT", "8000", environment), _port("FLOWER_PORT", "5555", environment)
        if port == flower_port:
            raise CannotStart(f"PORT and FLOWER_PORT are both {port}; they must differ.")
        return cls(
            port=port,
            flower_port=flower_port,
            data_dir=Path(environment.get("DATA_DIR") or "var"),
            database_url=environment.get("DATABASE_URL") or None,
            redis_url=environment.get("REDIS_URL") or None,
            broker_url=environment.get("BROKER_URL") or None,
        )


def _port(name: str, default: str, environment: Mapping[str, str]) -> int:
    value = environment.get(name) or default
    if not (re.fullmatch(r"[0-9]{1,5}", value) and 0 < int(value) < 65536):
        raise CannotStart(f"{name} must be a port number from 1 to 65535, not {value!r}.")
    port = int(value)
    if free_port(port) != port:
        other = port + 1 if port < 65535 else port - 1
        raise CannotStart(f"Port {port} is taken or not allowed: choose another, such as `{name}={other} make run`.")
    return port


def claim(data_dir: Path) -> int:
    """Make the data folder and hold it while the process lives, against a second copy. Raises CannotStart."""
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        advice = "stop it, or choose another folder with DATA_DIR (and other ports with PORT and FLOWER_PORT)"
        raise CannotStart(f"Another `make run` is using {data_dir}: {advice}.") from error
    return lock


def flower_login(data_dir: Path) -> str:
    """`user:password`, made once per data folder."""
    file = data_dir / "flower.json"
    if not file.exists():
        write_secret(file, json.dumps({"login": f"orderlog:{secrets.token_urlsafe(12)}"}))
    login: str = json.loads(file.read_text())["login"]
    return login
