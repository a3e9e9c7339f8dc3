# figures.py: from samples to figures: medians, spreads and ratios.

import statistics

from cases import BASES


def spread(values):
    """How far from the median they are, as a part of it."""
    middle = statistics.median(values)
    return round((max(values) - min(values)) / middle / 2, 3) if middle else 0


def summary(samples):
    """Of every figure the median, the spread and all samples."""
    result = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        result[key] = {"median": statistics.median(values), "spread": spread(values),
                       "samples": values}
    return result


def ratios(results, name, figure):
    """Of one server's figure to those of the servers that are compared with, by their names.
    Round by round, so that a slow moment of the machine counts on both sides."""
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
