"""Makes .venv and installs the locked packages: `python3 local/install.py run` or `… dev`. At once when all is there.

Runs on the system's Python, before anything is installed; older ones must be able to read it, to be told so.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MADE_BY = VENV / "made-by.txt"
INSTALLED = VENV / "installed.txt"

INSTALLING = "Installing the locked packages into .venv:"

LOCKS = {"run": ["run"], "bench": ["run", "bench"], "dev": ["run", "bench", "dev"]}  # each contains those before it


def main(name: str) -> None:
    """`name` is that of a lock file in requirements/."""
    wanted = [fingerprint(lock) for lock in LOCKS[name]]
    if INSTALLED.exists() and set(wanted) <= set(INSTALLED.read_text().splitlines()):
        return
    if sys.version_info < (3, 11):
        found = "{}.{}".format(*sys.version_info)
        sys.exit("Orderlog needs Python 3.11 or later; python3 is %s. Name another: make PYTHON=python3.13 …" % found)
    make_venv()
    install(ROOT / "requirements" / (name + ".txt"))
    INSTALLED.write_text("".join(line + "\n" for line in wanted))


def install(lock: Path) -> None:
    """Show how far pip has come, on one line; and what it says, if it fails."""
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
    options = ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    lines, said = lock.read_text().count("\n"), []
    print(INSTALLING, "about half a minute", end="" if sys.stdout.isatty() else "\n", flush=True)
    with subprocess.Popen(pip + options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            fetched = re.search(r"\(line (\d+)\)", line)  # of the lock, which pip fetches from top to bottom
            if fetched:
                show("fetching %d %%" % (100 * int(fetched.group(1)) // lines))
            elif line.startswith("Installing"):
                show("unpacking")
    show("failed" if process.returncode else "done", end="\n")
    if process.returncode:
        print("".join(said[-20:]), end="", flush=True)
        sys.exit("The packages could not be installed; pip says above why. The same command goes on from here.")


def show(state: str, end: str = "") -> None:
    """On a terminal, in place of the state before."""
    if sys.stdout.isatty():
        print("\r" + INSTALLING, "%-19s" % state, end=end, flush=True)


def fingerprint(lock: str) -> str:
    """Changes with the lock file, the Python and the folder, each of which a .venv is made for."""
    content = (ROOT / "requirements" / (lock + ".txt")).read_bytes()
    return hashlib.sha256(content + made_by().encode()).hexdigest()


def made_by() -> str:
    return "{}\n{}\n".format(os.path.realpath(sys.executable), ROOT)


def make_venv() -> None:
    """Keep a .venv that was made here by this Python; one that was interrupted half-way is made again."""
    if MADE_BY.exists() and MADE_BY.read_text() == made_by():
        return
    if VENV.is_symlink():
        sys.exit(".venv is a link to somewhere else; remove it, so that one can be made here.")
    print("Making .venv with Python %s." % sys.version.split()[0], flush=True)
    try:
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("Python's venv module cannot make .venv; on Debian and Ubuntu: apt-get install python3-venv")
    MADE_BY.write_text(made_by())


def alone() -> int:
    """A lock, held while this process lives, against a second installation at the same time."""
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    return folder


if __name__ == "__main__":
    try:
        lock = alone()
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on from here.")
    except OSError as error:
        sys.exit("%s: %s. The folder of the project must be yours to write to." % (error.filename, error.strerror))
