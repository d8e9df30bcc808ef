"""What has to be known to judge a figure: settings that decide durability, versions, and the machine."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

import psutil
import psycopg

from benchmarks.servers import SERVED_AS_IN_PRODUCTION, WITHOUT_LIMITS, Servers

POSTGRESQL = ("server_version", "fsync", "full_page_writes", "synchronous_commit", "shared_buffers", "max_wal_size")
FSYNCS = 100
VALKEY = ("appendonly", "appendfsync")
PACKAGES = ("flask", "granian", "celery", "kombu", "redis", "sqlalchemy", "psycopg", "eventsourcing")


def settings(servers: Servers) -> dict[str, str]:
    """By name, in the order in which to print them."""
    found = {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GB",
        "fsync of 8 kB": f"{_fsync_ms(servers.folder):.2f} ms",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }
    with psycopg.connect(servers.postgres.superuser_url) as connection:
        for name in POSTGRESQL:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            found[f"PostgreSQL {name}"] = str(row[0]) if row else "unknown"
    redis = servers.redis
    found["Valkey version"] = str(redis.info("server").get("valkey_version", "unknown"))
    for name in VALKEY:
        found[f"Valkey {name}"] = str(redis.config_get(name)[name])
    served = ", ".join(f"{name}={value}" for name, value in SERVED_AS_IN_PRODUCTION.items())
    found["service"] = f"{served}; for POST RATE_LIMIT={WITHOUT_LIMITS['RATE_LIMIT']} where the row says so"
    found["Python"] = platform.python_version()
    return found | {name: version(name) for name in PACKAGES}


def _fsync_ms(folder: Path) -> float:
    """The median: what each commit waits for, on the disk that the servers write to."""
    taken = []
    with TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            file.write(bytes(8192))
            started = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def _processor() -> str:
    """As Linux calls it; elsewhere the kind alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
