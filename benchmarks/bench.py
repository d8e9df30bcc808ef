"""What every group gets: the servers, and how much to measure."""

from dataclasses import dataclass

from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`seconds` is one run's, and `few_…` are run first, to see how many fit into that.

    `small` and `large` are databases, in orders of three events each on average."""

    pairs: int = 5
    seconds: float = 4.0
    few_commands: int = 200
    few_tasks: int = 300
    rebuilt_orders: int = 66_667
    most_rebuilt_orders: int = 333_334
    replayed_events: int = 500
    small: int = 1_000
    large: int = 1_000_000
    long_order: int = 10_000
    calls: int = 40


SIZES = {
    "full": Sizes(),
    "quick": Sizes(
        pairs=2,
        seconds=0.5,
        few_commands=50,
        few_tasks=60,
        rebuilt_orders=1_000,
        most_rebuilt_orders=2_000,
        replayed_events=50,
        small=100,
        large=1_000,
        long_order=200,
        calls=3,
    ),
}


@dataclass(frozen=True, slots=True)
class Bench:
    servers: Servers
    sizes: Sizes
