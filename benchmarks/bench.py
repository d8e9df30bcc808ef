"""What every group gets."""

from dataclasses import dataclass

from benchmarks.servers import Servers
from benchmarks.sizes import Sizes


@dataclass(frozen=True, slots=True)
class Bench:
    servers: Servers
    sizes: Sizes
