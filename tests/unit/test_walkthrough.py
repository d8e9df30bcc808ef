"""The script that newcomers run first: from any folder, without servers or settings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    script = Path(__file__).parent.parent.parent / "examples" / "walkthrough.py"
    no_servers = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    ran = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={**no_servers, "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture
def steps(output: str) -> dict[int, list[str]]:
    """The lines under each step's title."""
    pieces = re.split(r"^(\d+)\. .+\n", output, flags=re.MULTILINE)
    return {
        int(number): [line.strip() for line in body.splitlines() if line]
        for number, body in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def test_it_takes_ten_steps_in_order(steps: dict[int, list[str]]) -> None:
    assert list(steps) == list(range(1, 11))


@pytest.mark.parametrize(
    ("step", "printed"),
    [
        (1, ["OrderPlaced (version 1)"]),
        (2, ["OrderItemAdded (version 2)", "OrderItemAdded (version 3)"]),
        (4, ["OrderConfirmed (version 4)"]),
        (5, ["OrderShipped (version 5)"]),
        (7, ["OrderPlaced (version 1)"]),
        (8, ["OrderCancelled (version 2)"]),
    ],
)
def test_a_command_prints_the_events_it_stored(steps: dict[int, list[str]], step: int, printed: list[str]) -> None:
    assert steps[step] == printed


def test_the_details_show_customer_items_and_sum(steps: dict[int, list[str]]) -> None:
    customer, laptop, mice, total = steps[3]

    assert customer.startswith("山田太郎: pending")
    assert laptop == "- ノートPC x 1 at 80,000.00 = 80,000.00"
    assert mice == "- マウス x 2 at 1,500.00 = 3,000.00"
    assert total == "items total 83,000.00"


def test_the_shipped_list_holds_the_first_order_only(steps: dict[int, list[str]]) -> None:
    [shipped] = steps[6]

    assert shipped.startswith("ORDER-001 山田太郎 ")
    assert shipped.endswith(" shipped TRACK-12345678")


def test_the_whole_list_holds_both_orders(steps: dict[int, list[str]]) -> None:
    first, second = steps[9]

    assert first == steps[6][0]
    assert second.startswith("ORDER-002 佐藤花子 ")
    assert second.endswith(" cancelled 顧客都合によるキャンセル")


def test_the_log_holds_all_seven_events(steps: dict[int, list[str]]) -> None:
    assert [line.split(" {")[0] for line in steps[10]] == [
        "1 ORDER-001 v1 OrderPlaced",
        "2 ORDER-001 v2 OrderItemAdded",
        "3 ORDER-001 v3 OrderItemAdded",
        "4 ORDER-001 v4 OrderConfirmed",
        "5 ORDER-001 v5 OrderShipped",
        "6 ORDER-002 v1 OrderPlaced",
        "7 ORDER-002 v2 OrderCancelled",
    ]
