"""`make` alone, and what every `make` command does first: the .venv, and the locked packages in it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.make_run import ROOT

OLD_PYTHON = "import runpy, sys; sys.version_info = (3, 10, 1); sys.argv = ['install.py', 'run']; "


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the real installer, and a lock file that wants nothing."""
    project = tmp_path / "注文 project"
    (project / "local").mkdir(parents=True)
    (project / "requirements").mkdir()
    shutil.copy(ROOT / "local" / "install.py", project / "local")
    lock(project, "# nothing\n")
    return project


def lock(project: Path, content: str) -> None:
    (project / "requirements" / "run.txt").write_text(content)


def install(project: Path, *python: str) -> tuple[int, str]:
    """The exit status, and what was printed."""
    done = subprocess.run(
        [sys.executable, *(python or ["local/install.py", "run"])],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_it_installs_once_for_each_lock(project: Path) -> None:
    status, printed = install(project)
    assert (status, (project / ".venv" / "bin" / "python").exists()) == (0, True)
    assert "Making .venv" in printed
    assert install(project) == (0, "")

    lock(project, "no-such-package-of-orderlog==1.0 --hash=sha256:" + "0" * 64)
    status, printed = install(project, "local/install.py", "run")
    assert status == 1
    assert "No matching distribution found for no-such-package-of-orderlog==1.0" in printed
    assert "The packages could not be installed; pip says above why." in printed
    assert "Making .venv" not in printed

    lock(project, "# nothing\n")
    assert install(project) == (0, "")


def test_a_venv_that_is_a_link_is_left_alone(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.txt").write_text("kept")
    (project / ".venv").symlink_to(elsewhere)

    status, printed = install(project)

    assert (status, printed) == (1, ".venv is a link to somewhere else; remove it, so that one can be made here.\n")
    assert [kept.name for kept in elsewhere.iterdir()] == ["kept.txt"]


def test_an_old_python_is_told_so(project: Path) -> None:
    status, printed = install(project, "-c", OLD_PYTHON + "runpy.run_path('local/install.py', run_name='__main__')")

    assert status == 1
    assert printed == "Orderlog needs Python 3.11 or later; python3 is 3.10. Name another: make PYTHON=python3.13 …\n"
    assert not (project / ".venv").exists()


def test_make_alone_lists_the_commands() -> None:
    make = ["make", "--no-print-directory"]  # this one is started by `make test`
    listed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    commands = [line.split()[:2] for line in listed.splitlines()]
    [phony] = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:")]
    names = [name for name in phony.split()[1:] if not name.startswith("install-")]
    assert commands == [["make", name] for name in names]
