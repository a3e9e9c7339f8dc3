# scatter.py: draws how far messages were compressed against what a connection takes for it: a
# point for every server and level, from bench.json's figures of compression. charts.py calls it.

import math
import subprocess

from chart_style import COLORS, INK, PALE, SETUP, SOFT, WIDTH, escape, kind_of, label

FILE = "compression"
TITLE = "Compression ratio against the server's memory per connection"
NOTE = ("Idle connections that have exchanged more than 32 KiB each; all of the server's memory.\n"
        "Higher and further to the left is better. The scale of the memory is logarithmic.")
PANELS = {"compression, 150 B ticker": "JSON messages of 150 bytes",
          "compression, 2 KiB JSON": "JSON messages of 2 KiB",
          "compression, 64 KiB JSON": "JSON messages of 64 KiB"}
TOP, PANEL, HEAD, FOOT = 112, 230, 58, 48  # pixels
LEFT, RIGHT = 0.06, 0.96  # shares of the width
LINE, CHARACTER, GAP, DOT = 18, 8, 12, 8  # pixels, of a label and of a point

DRAWN = """\
unset label
set tmargin at screen {top}
set bmargin at screen {bottom}
set label 3 "{heading}" at graph 0,1 left offset 0,0.9 font ",12" textcolor rgb "{ink}"
{labels}
set grid xtics ytics linetype 1 linecolor rgb "{pale}" linewidth 0.8
set ytics scale 0 offset 0.4,0 textcolor rgb "{soft}" font ",10"
set logscale x
set format x "%g KiB"
set xtics add (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
set xrange [{least}:{most}]
set yrange [0:{highest}]
plot $panel{number} using 1:2:3 with points pointtype 7 pointsize 1.6 linecolor rgb variable
"""


def points(servers):
    """(name, KiB, ratio) for each that compresses, the highest first."""
    found = [(name, result["kib"]["median"], result["ratio"]["median"])
             for name, result in servers.items()
             if "kib" in result and result["compressed"]["median"] > 0]
    return sorted((point for point in found if point[1] > 0), key=lambda point: -point[2])


class Scale:
    """Where a point is, in pixels. The panels have the same for memory."""

    def __init__(self, panels, shown):
        every = [point[1] for _, one in panels for point in one]
        self.least, self.most = min(every) / 1.5, max(every) * 2  # with room for the names
        self.highest = max(point[2] for point in shown) * 1.25

    def place(self, kib, ratio):
        across = math.log(kib / self.least) / math.log(self.most / self.least)
        return across * WIDTH * (RIGHT - LEFT), ratio / self.highest * PANEL


def box(across, up, width, height):
    return across, up - height / 2, across + width, up + height / 2


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def fits(one, taken):
    inside = one[0] > 0 and one[1] > 0 and one[2] < WIDTH * (RIGHT - LEFT) and one[3] < PANEL
    return inside and not any(overlap(one, other) for other in taken)


def label_places(shown, scale):
    """Where each label begins, in pixels: beside its point or a few lines away, so that it is
    over no point and no other label."""
    places = [scale.place(kib, ratio) for _, kib, ratio in shown]
    taken = [box(across - DOT, up, 2 * DOT, 2 * DOT) for across, up in places]
    for (name, _, _), (across, up) in zip(shown, places):
        width = CHARACTER * len(name)
        tried = [(across + side, up + lines * LINE) for lines in (0, -1, -2, -3, 1, 2, 3)
                 for side in (GAP, -GAP - width)]
        free = [place for place in tried if fits(box(*place, width, LINE), taken)]
        chosen = (free or tried)[0]
        taken.append(box(*chosen, width, LINE))
        yield chosen


def labels(shown, scale):
    lines = []
    for i, ((name, _, _), (across, up)) in enumerate(zip(shown, label_places(shown, scale))):
        server, _, rest = name.partition(", ")
        text = f"{label(server)}{escape(', ' + rest if rest else '')}"
        lines.append(f'set label {10 + i} "{text}" at graph {across / WIDTH / (RIGHT - LEFT)},'
                     f'{up / PANEL} left font ",11" textcolor rgb "{INK}"')
    return "\n".join(lines)


def data(number, shown):
    lines = [f"{kib} {ratio} {int(COLORS[kind_of(name.partition(', ')[0])][1:], 16)}"
             for name, kib, ratio in shown]
    return "\n".join([f"$panel{number} << END", *lines, "END"])


def script(panels, file):
    height = TOP + len(panels) * (HEAD + PANEL + FOOT)
    lines = [data(i, shown) for i, (_, shown) in enumerate(panels)]
    lines.append(SETUP.format(width=WIDTH, height=height, file=file, ink=INK, soft=SOFT, left=LEFT,
                              title=escape(TITLE), title_at=1 - 30 / height, note=escape(NOTE),
                              note_at=1 - 60 / height))
    for i, (heading, shown) in enumerate(panels):
        top = TOP + HEAD + i * (HEAD + PANEL + FOOT)
        scale = Scale(panels, shown)
        drawn = DRAWN.format(number=i, top=1 - top / height, bottom=1 - (top + PANEL) / height,
                             heading=escape(heading), labels=labels(shown, scale), ink=INK,
                             pale=PALE, soft=SOFT, least=scale.least, most=scale.most,
                             highest=scale.highest)
        lines.append(drawn if i else drawn.replace("unset label\n", ""))
    return "\n".join([*lines, "unset multiplot"])


def draw(report, file):
    """Returns False if nothing of the chart was measured."""
    measured = report.get("compression", {})
    panels = [(heading, points(measured[case]["servers"])) for case, heading in PANELS.items()
              if case in measured]
    panels = [(heading, shown) for heading, shown in panels if shown]
    if panels:
        subprocess.run(["gnuplot"], input=script(panels, file), text=True, check=True)
    return bool(panels)
