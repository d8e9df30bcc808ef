"""Workers and Beat come back soon after their broker, however long it was away."""

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from tests.support.ports import own_port
from worker.app import app


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_tried_again_after_a_second_at_the_most(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    pauses: list[float] = []
    connection: Connection = app.amqp.Connection(f"{scheme}://127.0.0.1:{own_port()}//")

    with pytest.raises(OperationalError):
        connection.ensure_connection(lambda _error, pause: pauses.append(pause), 3)

    assert pauses == [0.5, 1.0, 1.0]
