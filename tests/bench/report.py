#!/usr/bin/python3 -B
# Prints a bench.json as Markdown tables for a README: a row per case, a column per server,
# medians, and libwebsock's ratio to the floors.
#   report.py [BENCH_JSON]

import json
import sys

from cases import FLOORS, GO, GO_TLS, NGINX_TLS, OURS, OURS_TLS, PEERS

COLUMNS = (*FLOORS, OURS, OURS_TLS, *PEERS, GO_TLS, NGINX_TLS)
UNITS = {"per_second": "per s", "server_us": "CPU \u00b5s", "sum": "KiB"}
ABSENT = "\u2013"


def quantity(value):
    """Three significant digits."""
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.0f} k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def cell(result, figure):
    return quantity(result[figure]["median"]) if result else ABSENT


def ratio(result, base):
    found = (result or {}).get("ratios", {}).get(base)
    return f"{found['median']:.2f}" if found else ABSENT


def multiple(figure):
    return f"{figure['median']:.2f}" if figure else ABSENT


def line(cells):
    return "| " + " | ".join(cells) + " |"


def rows(report):
    """(name, figure, results by server) for each case with one figure per server."""
    for name, case in report["cases"].items():
        yield name, case["compared"], case["servers"]
    for name, case in report["memory"].items():
        if case["kept"]:
            yield name, "sum", case["servers"]


def comparison(report):
    columns = [name for name in COLUMNS
               if any(name in servers for _, _, servers in rows(report))]
    bases = [base for base in (*FLOORS, GO) if base in columns]
    yield line(["case", "unit", *columns, *(f"ours / {base}" for base in bases)])
    yield line(["---", "---", *["---:"] * (len(columns) + len(bases))])
    for name, figure, servers in rows(report):
        ours = servers.get(OURS)
        yield line([name, UNITS[figure], *(cell(servers.get(column), figure) for column in columns),
                    *(ratio(ours, base) for base in bases)])


def compression(report):
    cases = report.get("compression")
    if not cases:
        return
    yield line(["compression", "server", "CPU \u00b5s", "x plain", "per s", "x plain", "ratio",
                "KiB a connection", "p99 \u00b5s"])
    yield line(["---", "---", *["---:"] * 7])
    for name, case in cases.items():
        for server, result in case["servers"].items():
            by_plain = result["by_plain"]
            yield line([name.partition(", ")[2], server, cell(result, "server_us"),
                        multiple(by_plain["server_us"]), cell(result, "per_second"),
                        multiple(by_plain["per_second"]), multiple(result["ratio"]),
                        cell(result, "kib") if "kib" in result else ABSENT,
                        cell(result, "p99_us")])
    yield ""


def given_back(report):
    for name, case in report["memory"].items():
        if case["kept"]:
            continue
        for server, result in case["servers"].items():
            middle = {key: figure["median"] for key, figure in result.items()}
            yield (f"{server}, {name}: {middle['before']:,.0f} KiB before, {middle['with']:,.0f}"
                   f" with them, {middle['after']:,.0f} after"
                   f" ({middle['after_by_before']:.2f} x before).\n")


def micro(report):
    figures = report.get("micro")
    if not figures:
        return
    yield line(["inner loop", "GiB/s", "plain", "ratio"])
    yield line(["---", "---:", "---:", "---:"])
    named = [(f"unmask {row['bytes']:,} B, {row['layout']}", row) for row in figures["unmask"]]
    named += [(f"UTF-8, {row['text']}", row) for row in figures["utf8"]]
    for name, row in named:
        yield line([name, f"{row['gib_per_second']:.1f}", f"{row['plain']:.1f}",
                    f"{row['gib_per_second'] / row['plain']:.1f}"])
    decoder = figures["decoder"]
    yield (f"\nDecoder, frames of {decoder['payload']} bytes:"
           f" {decoder['ns_per_frame']:.1f} ns each.\n")


def markdown(report):
    yield (f"{report['date'][:10]}, commit {report['commit']}, {report['cpu']}, {report['cores']}"
           f" processors, Linux {report['kernel']}; medians.\n")
    yield from comparison(report)
    yield ""
    yield from compression(report)
    yield from given_back(report)
    yield from micro(report)


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "build/bench/bench.json"
    with open(path, encoding="utf-8") as file:
        print("\n".join(markdown(json.load(file))))
