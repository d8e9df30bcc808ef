"""What docs/events.md shows a receiver in Python and Node is enough to tell a true event from a false one."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from core.webhooks.endpoints import new_secret
from core.webhooks.sending import signed

BODY = '{"id": "ORDER-001/1", "data": {"customer_name": "山田太郎"}}'
WRONG = ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1"}, {"webhook-signature": "v1,AAAA"})

# Express hands the raw body over, and the names of headers in small letters.
EXPRESS = """
const express = { text: () => {} }, app = { post: (path, read, handle) => { app.handle = handle; } };
"""
ASK = """
for (const headers of JSON.parse(process.env.REQUESTS))
  app.handle({ headers, body: process.env.BODY }, { sendStatus: (status) => console.log(status) });
"""


def example(project_root: Path, language: str, begins: str) -> str:
    page = (project_root / "docs" / "events.md").read_text()
    [found] = re.findall(rf"```{language}\n({begins}.*?)```", page, re.DOTALL)
    return str(found)


def test_the_example_verifies(project_root: Path) -> None:
    code, secret = example(project_root, "python", "from standardwebhooks"), new_secret()

    def receive(**headers: str) -> None:
        request = SimpleNamespace(get_data=BODY.encode, headers={**signed("msg_1", BODY, [secret]), **headers})
        names: dict[str, object] = {"SECRET": secret, "request": request}
        exec(code, names)
        assert names["event"] == json.loads(BODY)

    receive()
    for wrong in WRONG:
        with pytest.raises(WebhookVerificationError):
            receive(**wrong)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not on this machine.")
def test_the_example_in_node_verifies(project_root: Path, tmp_path: Path) -> None:
    secret = new_secret()
    good = signed("msg_1", BODY, [new_secret(), secret])
    missing = [{name: value for name, value in good.items() if name != left_out} for left_out in good]
    requests = [good, *({**good, **wrong} for wrong in WRONG), *missing]
    script = tmp_path / "receiver.mjs"
    script.write_text(EXPRESS + example(project_root, "js", "import { createHmac") + ASK)
    told = {"SECRET": secret, "BODY": BODY, "REQUESTS": json.dumps(requests)}
    ran = subprocess.run(
        ["node", script],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["204"] + ["401"] * 6
