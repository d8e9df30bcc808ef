"""The README's own commands, run by a shell as they stand there, give the README's answers."""

import re
import subprocess
from functools import partial
from itertools import pairwise

from tests.support.make_run import ROOT, Stack, shown
from tests.support.waiting import wait_until

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
CHANGING = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "019a…"),
    (re.compile(r"2\d{3}-[0-9T:.-]+Z"), "2026-…Z"),
    (re.compile(r'"position": \d+'), '"position": 1'),
    (re.compile(r"in \d+\.\d s, [\d,]+ events/s"), "in 0.1 s, 60 events/s"),
    (re.compile(r"\s+"), " "),
]


COMMAND_ANSWER = re.compile(r'{"order_id": "([^"]+)", "version": (\d+), "position": \d+}')


def test_the_first_order_goes_as_the_readme_says(stack: Stack) -> None:
    order_id = ""

    for commands, answer in [*answers("A first order"), *answers("Retry, wait, look back")]:
        answered = shell(stack, f"ORDER={order_id}\n{commands}")
        assert normal(answered) == normal(answer)
        for changed, version in COMMAND_ANSWER.findall(answered):
            if "Idempotency-Key" not in commands:  # which leaves $ORDER as it was
                order_id = changed
            wait_until(partial(shown, stack, changed, int(version)), 5)


def answers(heading: str) -> list[tuple[str, str]]:
    """The commands of a section, each with its answer."""
    section = (ROOT / "README.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    found = [(commands, answer) for (kind, commands), (_, answer) in pairwise(BLOCK.findall(section)) if kind == "sh"]
    assert len(found) >= 3
    return found


def shell(stack: Stack, commands: str) -> str:
    """What the commands print; on this stack's port."""
    commands = commands.replace("localhost:8000", f"127.0.0.1:{stack.port}")
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def normal(text: str) -> str:
    """Without what differs from run to run: ids, times and white space."""
    for changing, constant in CHANGING:
        text = changing.sub(constant, text)
    return text.replace("}{", "} {").strip()
