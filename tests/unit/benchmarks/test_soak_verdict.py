"""What a soak calls flat, and what it calls a fault."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak.samples import Sample
from benchmarks.soak.verdict import Found, as_markdown

LOAD: dict[str, Any] = {"requests": 100, "events": 50, "errors": 0, "first_errors": []}
LOAD |= {"p50_ms": 5.0, "p99_ms": 20.0, "max_ms": 30.0}


def soak(memory: Callable[[int], float] = lambda _: 100.0, **differing: Any) -> Found:
    """Of 50 samples, one per minute."""
    samples = [
        Sample(
            at=minute * 60.0,
            memory={"web": memory(minute)},
            files={"web": 20},
            events_behind=1,
            seconds_behind=0.1,
            queued=0,
            connections=24,
        )
        for minute in range(50)
    ]
    return replace(Found(samples=samples, load=LOAD, differences=0, events_lost=0), **differing)


def test_steady_is_flat() -> None:
    found = soak()

    assert found.faults == []
    assert "| web | 100 | 100 | +0.0 | 20 | 20 |" in as_markdown(found, {"minutes": "50"})
    assert as_markdown(found, {}).endswith("Flat.\n")


def test_growth_while_warming_up_does_not_count() -> None:
    assert soak(lambda minute: min(100.0, minute * 10.0)).faults == []


def test_a_leak_is_found_and_told_per_hour() -> None:
    found = soak(lambda minute: 100.0 + minute)

    assert found.faults == ["the memory of web grew"]
    assert found.memory[0].per_hour == pytest.approx(60)
    assert as_markdown(found, {}).endswith("NOT FLAT: the memory of web grew.\n")


def test_little_growth_of_a_small_program_is_flat() -> None:
    assert soak(lambda minute: 10.0 + minute / 10).faults == []


@pytest.mark.parametrize(
    ("differing", "fault"),
    [
        ({"load": {**LOAD, "errors": 2, "first_errors": ["GET /orders: 503"]}}, "2 requests failed, such as GET"),
        ({"differences": 3}, "3 differences"),
        ({"events_lost": 1}, "1 acknowledged events"),
    ],
)
def test_what_went_wrong_is_a_fault(differing: dict[str, Any], fault: str) -> None:
    [found] = soak(**differing).faults

    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"seconds_behind": 2.5}, "the read side was 2.5 s behind"),
        ({"files": {"web": 40}}, "the open files of web grew"),
        ({"connections": 50}, "the connections to PostgreSQL grew"),
    ],
)
def test_what_grew_in_the_end_is_a_fault(changed: dict[str, Any], fault: str) -> None:
    steady = soak().samples

    assert soak(samples=[*steady[:40], *(replace(sample, **changed) for sample in steady[40:])]).faults == [fault]
