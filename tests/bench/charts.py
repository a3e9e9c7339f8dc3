# charts.py: draws the figures of a bench.json with gnuplot: one PNG each, a bar for every
# server, the best at the top. run.py calls it at the end; on its own:
#   charts.py BENCH_JSON DIRECTORY
# What the figures mean is explained by run.py.

import collections
import json
import shutil
import subprocess
import sys

import scatter
from chart_style import COLORS, INK, PALE, SETUP, SOFT, WIDTH, escape, kind_of, label

# pixels; BAR and HEAD are per bar and per panel
TOP, BOTTOM, BAR, HEAD = 112, 22, 34, 58
LEFT = 0.15  # share of the width, for the names of the servers
MIB = 1 << 20

# cases: a panel's heading by case name. figure: which figure of a server's result or, where a
# case measures something else, which kind of memory. factor: converts to the title's unit.
Chart = collections.namedtuple("Chart", "file title note cases figure less factor digits",
                               defaults=(False, 1, 0))

FEWER = "Shorter is better."
MORE = "Longer is better."
IDLE_CASES = {"idle, 1000 connections": "1,000 connections",
              "idle, 10000 connections": "10,000 connections"}
ECHO_CASES = {"echo 20 B, 64 connections": "64 connections",
              "echo 20 B, 1000 connections": "1,000 connections"}
CHARTS = (
    Chart("cpu", "Server CPU time per 20-byte echo, \u00b5s",
          "User and system, of all the server's threads.", ECHO_CASES, "server_us", True,
          digits=1),
    Chart("latency", "99th percentile of the latency of a 20-byte echo, \u00b5s",
          "Every connection has one message in flight, all the time.", ECHO_CASES, "p99_us", True),
    Chart("pipelined", "20-byte echoes per second, pipelined, thousands",
          "One client thread, one processor for the server.",
          {"echo 20 B, 16 x 32 deep": "16 connections, 32 messages in flight on each"},
          "per_second", factor=1e-3),
    Chart("large", "Echo of large messages, MiB per second",
          "One client thread, one processor for the server.",
          {"echo 64 KiB, 16 connections": "64 KiB, 16 connections",
           "echo 1 MiB, 4 connections": "1 MiB, 4 connections"}, "mib_per_second"),
    Chart("churn", "Sessions per second",
          "Connect, opening handshake, one echo, closing handshake; the floors have no handshakes.",
          {"sessions, 16 at a time": "16 at a time"}, "per_second"),
    Chart("fanout", "Deliveries per second of one message to 500 receivers, thousands",
          "The next message is sent when all have the last.",
          {"fan-out 20 B to 500": "20 bytes", "fan-out 100 B to 500": "100 bytes"},
          "per_second", factor=1e-3),
    Chart("blocking", "Messages per second when each callback blocks for 1 ms, thousands",
          "An event loop does one at a time; the thread floor blocks in all threads at once.",
          {"callbacks block 1 ms, 200 conn.": "200 connections"}, "per_second", factor=1e-3,
          digits=1),
    Chart("idle", "Memory per idle connection, KiB",
          "The server's own and the kernel's, for both ends of the connection.", IDLE_CASES,
          "sum", True, digits=1),
)

BARS = """\
set grid xtics linetype 1 linecolor rgb "{pale}" linewidth 0.8
set ytics scale 0 offset 0.4,0 textcolor rgb "{ink}"
set style fill solid 1.0 noborder
"""
PANEL = """\
set tmargin at screen {top}
set bmargin at screen {bottom}
set label 3 "{heading}" at graph 0,1 left offset 0,0.7 font ",12" textcolor rgb "{ink}"
set xrange [0:{most}]
set yrange [{count}.5:0.5]
plot $panel{number} using (0):1:(0):3:($1-0.36):($1+0.36):6:ytic(2) \\
       with boxxyerror linecolor rgb variable, \\
     $panel{number} using 3:1:4:5 with xerrorbars pointtype -1 linewidth 1 linecolor rgb "{ink}", \\
     $panel{number} using 5:1:7 with labels left offset 0.7,0 textcolor rgb "{ink}" font ",11"
unset label 1
unset label 2
"""


def bars(chart, servers):
    """(name, median, least, most) for each server, best first."""
    found = []
    for name, result in servers.items():
        if chart.figure in result:
            values = [value * chart.factor for value in result[chart.figure]["samples"]]
            found.append((name, result[chart.figure]["median"] * chart.factor, min(values),
                          max(values)))
    return sorted(found, key=lambda bar: bar[1], reverse=not chart.less)


def data(number, chart, rows):
    """The panel's data columns: row, name, median, least, most, color, the median as text."""
    lines = [f"$panel{number} << END"]
    for i, (name, middle, least, most) in enumerate(rows, 1):
        color = int(COLORS[kind_of(name)][1:], 16)
        lines.append(f'{i} "{label(name)}" {middle} {least} {most} {color}'
                     f' "{middle:,.{chart.digits}f}"')
    return "\n".join([*lines, "END"])


def note_of(chart, rows):
    """The chart's note, in two lines."""
    kinds = {kind_of(bar[0]) for bars_of in rows for bar in bars_of}
    floors = " Grey: bare TCP, without WebSocket." if "floor" in kinds else ""
    return (f"{chart.note}\n{FEWER if chart.less else MORE}{floors}"
            " Thin lines: from the least to the most of all rounds.")


def script(chart, panels, file):
    """panels: (heading, bars) for each."""
    height = TOP + BOTTOM + sum(HEAD + BAR * len(rows) for _, rows in panels)
    lines = [data(i, chart, rows) for i, (_, rows) in enumerate(panels)]
    lines.append(SETUP.format(width=WIDTH, height=height, file=file, ink=INK, soft=SOFT,
                              left=LEFT, title=escape(chart.title), title_at=1 - 30 / height,
                              note=escape(note_of(chart, [rows for _, rows in panels])),
                              note_at=1 - 60 / height))
    lines.append(BARS.format(ink=INK, pale=PALE))
    top = TOP + HEAD / 2
    for i, (heading, rows) in enumerate(panels):
        bottom = top + BAR * len(rows)
        most = max(bar[3] for bar in rows) * 1.12 or 1  # room for the figure behind the bar
        lines.append(PANEL.format(number=i, count=len(rows), most=most, heading=escape(heading),
                                  top=1 - top / height, bottom=1 - bottom / height, ink=INK))
        top = bottom + HEAD
    return "\n".join([*lines, "unset multiplot"])


def draw(chart, report, file):
    """Returns False if nothing of the chart was measured."""
    measured = {**report["cases"], **report["memory"]}
    panels = [(heading, bars(chart, measured[case]["servers"]))
              for case, heading in chart.cases.items() if case in measured]
    panels = [(heading, rows) for heading, rows in panels if rows]
    if panels:
        subprocess.run(["gnuplot"], input=script(chart, panels, file), text=True, check=True)
    return bool(panels)


def draw_all(report, directory):
    if not shutil.which("gnuplot"):
        print("no charts: gnuplot is not installed (Debian's package is gnuplot-nox)")
        return
    drawn = [chart.file for chart in CHARTS if draw(chart, report, f"{directory}/{chart.file}.png")]
    if scatter.draw(report, f"{directory}/{scatter.FILE}.png"):
        drawn.append(scatter.FILE)
    if drawn:
        print(f"charts: {', '.join(f'{directory}/{name}.png' for name in drawn)}")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as bench:
        draw_all(json.load(bench), sys.argv[2])
