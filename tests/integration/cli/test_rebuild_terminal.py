"""`flask rebuild` on a terminal shows a bar."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy.orm import Session, sessionmaker

from core.read_models.wiring import PROJECTORS
from tests.support.make_run import ROOT
from tests.support.rebuilding import fill


@pytest.mark.parametrize(("orders", "bar"), [(10, f"[{36 * '#'}]  40/40"), (0, "0/0")])
def test_the_bar_is_full_in_the_end(app: Flask, sessions: sessionmaker[Session], orders: int, bar: str) -> None:
    fill(sessions, orders)
    terminal, other_end = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "flask", "rebuild"], cwd=ROOT, stdout=other_end)
    os.close(other_end)

    shown = read_all(terminal)

    assert process.wait() == 0
    assert bar in shown
    assert f"{', '.join(PROJECTORS)}: {4 * orders} events in" in shown


def read_all(terminal: int) -> str:
    """What is shown until nobody has the other end any more."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as reader, suppress(OSError):
        while part := reader.read(4096):
            shown += part
    return shown.decode()
