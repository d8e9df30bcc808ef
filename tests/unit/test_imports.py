"""The borders between the packages hold, and a planted breach of each is found."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ["core", "worker", "webapp", "local", "benchmarks"]

LAYERS = "Imports run webapp -> worker -> core"
CORE = "core knows no web framework, no task queue and no broker"
DOMAIN = "The domain knows nothing else of core, nor the database"
WRITE_SIDE = "Writing and reading are apart: the write side knows no read model"
WEBHOOKS = "Webhooks come from the log alone: they know no read model and no projection"
PROJECTION = "Projection knows no read model and no rule of orders"

BREACHES = [
    ("core/settings.py", "import worker.app", LAYERS),
    ("core/database.py", "import webapp", LAYERS),
    ("worker/tasks.py", "import webapp", LAYERS),
    ("core/database.py", "import flask", CORE),
    ("core/database.py", "import flask_sqlalchemy", CORE),
    ("core/command_handler.py", "import celery", CORE),
    ("core/settings.py", "from redis import Redis", CORE),
    ("core/orders/order.py", "from core.event_sourcing import codec", DOMAIN),
    ("core/orders/values.py", "import sqlalchemy", DOMAIN),
    ("core/command_handler.py", "import core.read_models.summary", WRITE_SIDE),
    ("core/projection/catch_up.py", "from core.read_models.wiring import PROJECTORS", PROJECTION),
    ("core/projection/writer.py", "from core.orders.order import Status", PROJECTION),
    ("core/webhooks/delivering.py", "from core.projection.catch_up import alone", WEBHOOKS),
    ("core/webhooks/endpoints.py", "import core.read_models.summary", WEBHOOKS),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    plain = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    plain.pop("FORCE_COLOR", None)
    return subprocess.run(command, cwd=folder, env=plain, capture_output=True, encoding="utf-8", check=False)


def test_every_contract_is_kept(project_root: Path) -> None:
    ran = lint_imports(project_root)

    assert ran.returncode == 0, ran.stdout
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", ran.stdout)


@pytest.mark.parametrize(
    ("module", "breach", "contract"), BREACHES, ids=[f"{breach} in {module}" for module, breach, _ in BREACHES]
)
def test_a_planted_breach_breaks_its_contract(
    project_root: Path, tmp_path: Path, module: str, breach: str, contract: str
) -> None:
    for package in PACKAGES:
        shutil.copytree(project_root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(project_root / "pyproject.toml", tmp_path)
    planted = tmp_path / module
    planted.write_text(f"{planted.read_text()}\n\n{breach}\n")

    ran = lint_imports(tmp_path)

    assert ran.returncode == 1
    assert f"{contract} BROKEN" in ran.stdout


def imported(source: str) -> Iterator[str]:
    """The full name of everything imported anywhere in the source; relative imports begin with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def foreign(source: str) -> list[str]:
    """What the source imports beyond the standard library and the domain itself."""
    return [
        name
        for name in imported(source)
        if name.split(".")[0] not in sys.stdlib_module_names and not f"{name}.".startswith("core.orders.")
    ]


def test_the_domain_imports_the_standard_library_alone(project_root: Path) -> None:
    modules = sorted((project_root / "core" / "orders").rglob("*.py"))

    assert {"order.py", "events.py", "commands.py", "errors.py"} <= {module.name for module in modules}
    assert {module.name: found for module in modules if (found := foreign(module.read_text()))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import sqlalchemy", ["sqlalchemy"]),
        ("from pydantic import BaseModel", ["pydantic.BaseModel"]),
        ("import datetime, msgspec", ["msgspec"]),
        ("def late():\n    import psycopg", ["psycopg"]),
        ("import core.settings", ["core.settings"]),
        ("from core import database", ["core.database"]),
        ("from core.orders_of_others import Order", ["core.orders_of_others.Order"]),
        ("from .. import settings", ["...settings"]),
        ("import datetime\nfrom core.orders import values\nfrom core.orders.errors import OrderError", []),
    ],
)
def test_a_planted_import_in_the_domain_is_found(source: str, found: list[str]) -> None:
    assert foreign(source) == found
