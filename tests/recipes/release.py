"""A copy of the checkout, as a git repository in which each recipe becomes a commit."""

import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.recipes.page import Commands, Diff, NewFile, Step
from tests.support.make_run import ROOT

BIN = Path(sys.executable).parent
PRODUCT = ("core/", "worker/", "webapp/", "migrations/")
# `flask` wants to know them; no command of a recipe talks to them.
NO_SERVERS = {"DATABASE_URL": "postgresql://nobody@localhost:1/none", "REDIS_URL": "redis://localhost:1/0"}
WHO = ("-c", "user.name=recipes", "-c", "user.email=recipes@localhost")


@dataclass(frozen=True, slots=True)
class Change:
    """A file that a recipe has changed; `lines` are those that the page has of it, not what a command has made."""

    path: str
    lines: int
    new: bool


class Release:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in filter(None, output(["git", "ls-files", "-z"], ROOT).split("\0")):
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.commit("The checkout")
        self.run("git", "tag", "checkout")

    def run(self, *command: str, **environment: str) -> None:
        """Raises CalledProcessError."""
        subprocess.run(command, cwd=self.folder, env={**os.environ, **environment}, check=True)

    def command(self, line: str) -> None:
        """As a reader would type it, with the tools that are installed here."""
        program, *arguments = shlex.split(line)
        if program == "make":
            self.run("make", "--old-file=install-dev", f"BIN={BIN}", *arguments)
        else:
            self.run(str(BIN / program), *arguments, **NO_SERVERS)

    def apply(self, title: str, steps: Sequence[Step]) -> list[Change]:
        """Take the steps exactly as they stand on the page. Returns the changes of product code."""
        for step in steps:
            match step:
                case NewFile():
                    assert not (self.folder / step.path).exists(), f"{step.path} is there already"
                    (self.folder / step.path).write_text(step.content)
                case Diff():
                    apply = ["git", "apply", "--verbose", "-"]
                    subprocess.run(apply, cwd=self.folder, input=step.text, text=True, check=True)
                case Commands():
                    for line in step.lines:
                        self.command(line)
        self.commit(title)
        written = Counter(path for step in steps for path in _written(step))
        return [Change(path, written[path], new) for path, new in self.changed().items() if path.startswith(PRODUCT)]

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", *WHO, "commit", "--quiet", "--message", message)

    def changed(self) -> dict[str, bool]:
        """The files that the last commit has changed, and whether each is new."""
        listed = output(["git", "diff", "--name-status", "--no-renames", "HEAD~1", "HEAD"], self.folder)
        return {path: status == "A" for status, path in (line.split("\t") for line in listed.splitlines())}

    def go_to(self, revision: str) -> None:
        """ "checkout", or "main" with all recipes that have been applied."""
        self.run("git", "checkout", "--quiet", revision)


def _written(step: Step) -> Iterator[str]:
    """The file's path, for each line that the step adds to it."""
    match step:
        case NewFile():
            yield from [step.path] * len(step.content.splitlines())
        case Diff():
            path = ""
            for line in step.text.splitlines():
                if line.startswith("+++ b/"):
                    path = line.removeprefix("+++ b/")
                elif line.startswith("+"):
                    yield path


def output(command: Sequence[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
