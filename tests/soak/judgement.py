# judgement.py: decides whether a soak has passed: what counts as growth, and everything else
# that may be wrong. Figures in, sentences out; no processes, no clock.

import statistics
from typing import NamedTuple

MIN_SAMPLES = 8  # with fewer, a quarter says nothing


class Tolerance(NamedTuple):
    """How much more the last quarter may show than the second: a share of it plus a number
    of units."""
    share: float
    units: int
    unit: str


TOLERANCES = {
    "memory": Tolerance(0.05, 512, " KiB"),
    "descriptors": Tolerance(0.05, 4, ""),
    # Workers come when callbacks block, and stay for a while. Threads that never leave are
    # found by leftovers(), however few.
    "threads": Tolerance(0.25, 4, ""),
}


class Trend(NamedTuple):
    """Medians of the run's second and last quarter, and the limit for the last. The first
    quarter is the start: pools and caches fill."""
    second: float
    last: float
    limit: float

    @property
    def grows(self):
        return self.last > self.limit


def quarters(count):
    """The second and the last quarter of count samples, as (begin, end)."""
    return (count // 4, count // 2), (count - count // 4, count)


def trend(kind, series):
    if len(series) < MIN_SAMPLES:
        raise ValueError(f"{len(series)} samples; at least {MIN_SAMPLES} are needed")
    second, last = (statistics.median(series[begin:end]) for begin, end in quarters(len(series)))
    tolerance = TOLERANCES[kind]
    return Trend(second, last, second * (1 + tolerance.share) + tolerance.units)


def growth(server, series):
    """A sentence for each kind of series that grows; series by kind."""
    trends = {kind: trend(kind, values) for kind, values in series.items()}
    return [f"{server}: {kind} grows from {found.second:.0f} to {found.last:.0f}"
            f"{TOLERANCES[kind].unit}; at most {found.limit:.0f} would have done"
            for kind, found in trends.items() if found.grows]


def leftovers(server, idle, after):
    """A sentence for each kind that has more left after the population has gone than before
    it came. Memory may stay: the allocator keeps some for later clients."""
    return [f"{server}: {after[kind]} {kind} are left, of {idle[kind]} before the first client"
            for kind in ("descriptors", "threads") if after[kind] > idle[kind]]
