# figures.py: turns samples into figures: medians, spreads and ratios.

import statistics

from cases import BASES


def spread(values):
    """Half the distance between the least and the most, as a share of the median."""
    middle = statistics.median(values)
    return round((max(values) - min(values)) / middle / 2, 3) if middle else 0


def summary(samples):
    """For every figure the median, the spread and all samples."""
    result = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        result[key] = {"median": statistics.median(values), "spread": spread(values),
                       "samples": values}
    return result


def ratios(results, name, figure):
    """Ratios of one server's figure to those of the servers it is compared with, by name.
    Taken round by round, so that a slow moment of the machine counts on both sides."""
    found = {}
    for base in BASES:
        if base == name or base not in results:
            continue
        pairs = zip(*(results[server][figure]["samples"] for server in (name, base)))
        values = [a / b if b else 0 for a, b in pairs]
        found[base] = {"median": statistics.median(values), "samples": values}
    return found


def add_ratios(results, figure):
    for name, result in results.items():
        result["ratios"] = ratios(results, name, figure)
