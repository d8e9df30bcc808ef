"""The limit of appending: PostgreSQL's own load generator, one INSERT and one commit at a time."""

import re
import subprocess
from pathlib import Path

import psycopg

from local.servers import postgres_binary

# A log without any rule: a position, and a payload of the size that an event has with its metadata.
CREATE = "CREATE TABLE IF NOT EXISTS plain_log (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data jsonb)"
PAYLOAD = (
    '{"order_id": "01990000-0000-7000-8000-000000000001", "placed_at": "2026-01-01T00:00:00.000000+00:00", '
    '"total_amount": "83000.00", "customer_name": "山田太郎", "schema_version": 1}'
)
INSERT = f"INSERT INTO plain_log (data) VALUES ('{PAYLOAD}');\n"


def create_plain_log(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(CREATE)


def write_script(folder: Path) -> Path:
    script = folder / "plain_insert.sql"
    script.write_text(INSERT)
    return script


def pgbench_rate(database_url: str, script: Path, clients: int, seconds: float) -> float:
    """Transactions per second, without the time to connect; pgbench counts in whole seconds."""
    command = [postgres_binary("pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={script}"]
    load = [f"--client={clients}", "--jobs=2", f"--time={max(1, round(seconds))}"]
    ran = subprocess.run([*command, *load, database_url], capture_output=True, text=True, check=True)
    found = re.search(r"^tps = ([0-9.]+)", ran.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"pgbench says nothing of its rate:\n{ran.stdout}{ran.stderr}")
    return float(found[1])
