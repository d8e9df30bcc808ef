"""All commands of README.md, in one shell as a reader has it, give the answers that stand below them."""

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Self

import pytest

from tests.support.make_run import ROOT, Stack, shown
from tests.support.waiting import wait_until

BLOCK = re.compile(r"```sh\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)
STARTS_THE_STACK = "make run\n"  # which the stack of these tests has done
CHANGING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|2\d{3}-\d\d-\d\dT[0-9:.]+Z")
COMMAND_ANSWER = re.compile(r'{"order_id": "([^"]+)", "version": (\d+), "position": \d+}')
END = "end of the block"


class Shell:
    """A bash that runs one block after the other, on this stack's port."""

    def __init__(self, stack: Stack) -> None:
        self._port = stack.port
        self._bash = subprocess.Popen(
            ["bash", "-eu"],
            cwd=ROOT,
            env=stack.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.communicate(timeout=10)

    def run(self, commands: str) -> str:
        """What they print. Fails if one of them does."""
        assert self._bash.stdin is not None
        commands = commands.replace("localhost:8000", f"127.0.0.1:{self._port}")
        self._bash.stdin.write(f"{commands}printf '\\n{END}\\n'\n")
        printed = list(self._lines())
        assert printed[-1:] == [f"{END}\n"], "".join(printed)
        return "".join(printed[:-1])

    def _lines(self) -> Iterator[str]:
        """To the end of the block, or of a shell that a failed command has ended."""
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            yield line
            if line == f"{END}\n":
                return


@pytest.fixture
def shell(stack: Stack) -> Iterator[Shell]:
    with Shell(stack) as running:
        yield running


def test_all_commands_go_as_the_readme_says(stack: Stack, shell: Shell) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    assert blocks[0] == (STARTS_THE_STACK, "")

    for commands, answer in blocks[1:]:
        printed = shell.run(commands)
        if answer:
            assert one_line(CHANGING.sub("…", printed)) == one_line(answer)
        for order_id, version in COMMAND_ANSWER.findall(printed):
            wait_until(partial(shown, stack, order_id, int(version)), 5)


def one_line(text: str) -> str:
    return " ".join(text.split())
