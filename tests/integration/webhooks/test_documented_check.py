"""What docs/events.md shows a receiver in Python is enough to tell a true event from a false one."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from core.webhooks.endpoints import new_secret
from core.webhooks.sending import signed


def test_the_example_verifies(project_root: Path) -> None:
    page = (project_root / "docs" / "events.md").read_text()
    [example] = re.findall(r"```python\n(from standardwebhooks.*?)```", page, re.DOTALL)
    secret, body = new_secret(), '{"id": "ORDER-001/1", "data": {"customer_name": "山田太郎"}}'

    def receive(**headers: str) -> None:
        request = SimpleNamespace(get_data=body.encode, headers={**signed("msg_1", body, [secret]), **headers})
        names: dict[str, object] = {"SECRET": secret, "request": request}
        exec(example, names)
        assert names["event"] == {"id": "ORDER-001/1", "data": {"customer_name": "山田太郎"}}

    receive()
    for wrong in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1"}, {"webhook-signature": "v1,AAAA"}):
        with pytest.raises(WebhookVerificationError):
            receive(**wrong)
