"""What the environment asks of `make run`: ports, the data folder, servers of one's own."""

import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.servers import CannotStart, free_port, write_secret

OURS = ("*.json", "*.log", "lock", "valkey", "valkey/**/*")  # PostgreSQL keeps its folder closed itself


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
    """Make the data folder and hold it while the process lives, against a second copy. Raises CannotStart, OSError."""
    _make_private(data_dir)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        advice = "stop it, or choose another folder with DATA_DIR (and other ports with PORT and FLOWER_PORT)"
        raise CannotStart(f"Another `make run` is using {data_dir}: {advice}.") from error
    return lock


def _make_private(folder: Path) -> None:
    """For this user alone. A folder of an earlier version, known by its lock, is closed with what it holds."""
    advice = "name a folder of yours with DATA_DIR"
    for link in _links_to(folder.absolute()):
        if link.lstat().st_uid not in (0, os.geteuid()):
            raise CannotStart(f"{link}, on the way to the data, is a link of another user: {advice}.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise CannotStart(f"{folder} belongs to another user: {advice}.")
    if stat.S_IMODE(found.st_mode) == 0o700:
        return
    shared = found.st_mode & stat.S_ISVTX or not (folder / "lock").exists()
    if shared and any(folder.iterdir()):
        raise CannotStart(f"{folder} is open to other users and holds other things: {advice}, or `chmod 700` it.")
    folder.chmod(0o700)
    for path in (path for pattern in OURS for path in folder.glob(pattern)):
        path.chmod(0o700 if path.is_dir() else 0o600)


def _links_to(path: Path) -> Iterator[Path]:
    """The symbolic links on the way to it, and on the way to where they lead. Raises OSError."""
    way = Path(path.anchor)
    for part in path.parts[1:]:
        way /= part
        if way.is_symlink():
            way.stat()
            yield way
            yield from _links_to(way.parent / way.readlink())
            way = way.resolve()


def secret_key(data_dir: Path) -> str:
    """What signs the console's cookies, made once per data folder."""
    file = data_dir / "console.json"
    if not file.exists():
        write_secret(file, json.dumps({"secret_key": secrets.token_hex(32)}))
    key: str = json.loads(file.read_text())["secret_key"]
    return key


def flower_login(data_dir: Path) -> str:
    """`user:password`, made once per data folder."""
    file = data_dir / "flower.json"
    if not file.exists():
        write_secret(file, json.dumps({"login": f"orderlog:{secrets.token_urlsafe(12)}"}))
    login: str = json.loads(file.read_text())["login"]
    return login
