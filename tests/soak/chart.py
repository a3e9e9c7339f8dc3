# chart.py: a soak's figures as one picture, drawn by gnuplot: memory, descriptors, threads and
# what the clients did, over time. judgement.py says what they mean.

import subprocess
import textwrap

from judgement import quarters

WIDTH, HEIGHT = 1400, 1250
COLORS = {"plain": "#1f6fb4", "TLS": "#d9660f"}
INK, PALE, BAND = "#333333", "#dddddd", "#eef1f4"

HEAD = """\
set terminal pngcairo size {width},{height} font "DejaVu Sans,11" background "#ffffff"
set output "{file}"
set multiplot layout 4,1 margins 0.07,0.93,0.055,0.925 spacing 0.0,0.045
set label 1 "{{/:Bold {title}}}" at screen 0.07,0.972 left font ",17" textcolor rgb "{ink}"
set label 2 "{subtitle}" at screen 0.07,0.947 left textcolor rgb "{color}"
set border 3 linecolor rgb "{ink}"
set tics nomirror out scale 0.5 textcolor rgb "{ink}"
set grid ytics linetype 1 linecolor rgb "{pale}" linewidth 0.6
set key top left horizontal Left reverse samplen 1.5 textcolor rgb "{ink}" \\
  opaque fillcolor "#ffffff" noautotitle
set xrange [0:{end}]
set format x ""
"""
HEADROOM = 1.3  # above the highest value, for the key


def title_of(report):
    clients = report["clients"]
    return (f"Soak of {duration(report['seconds'])}: {clients['messages']:,} messages, "
            f"{clients['connections']:,} connections, {clients['errors']:,} errors")


def duration(seconds):
    return f"{seconds / 60:.0f} minutes" if seconds >= 300 else f"{seconds:.0f} s"


def subtitle_of(report):
    """The kind of demo, which decides its color."""
    if report["complaints"]:
        more = len(report["complaints"]) - 1
        first = textwrap.shorten(report["complaints"][0], 150, placeholder=" ...")
        return f"FAILED: {first}" + (f" (and {more} more)" if more else ""), "#c01818"
    return ("Nothing grows. Compared are the medians (black) of the second and the last quarter "
            "(shaded).", INK)


def escape(text):
    """Escapes for gnuplot's enhanced text in double quotes."""
    return "".join("\\\\" + char if char in "_^@&~{}" else char
                   for char in text.replace("\\", "/").replace('"', "'"))


def block(name, rows):
    return f"${name} << END\n" + "".join(" ".join(map(str, row)) + "\n" for row in rows) + "END\n"


def rates(samples, scale):
    """Messages and connections per second between samples."""
    for before, now in zip(samples, samples[1:]):
        span = now["seconds"] - before["seconds"]
        yield (now["seconds"] / scale, (now["messages"] - before["messages"]) / span,
               (now["connections"] - before["connections"]) / span,
               now["errors"] - before["errors"])


def median_lines(report, kind, factor, edges):
    """Arrows without heads, each with its figure: above the higher one, below the lower."""
    lines = []
    for quarter, (begin, end) in edges.items():
        levels = sorted(server["trends"][kind][quarter] * factor
                        for server in report["servers"].values())
        for level in levels:
            offset = 0.7 if level == levels[-1] else -0.8
            lines.append(f"set arrow from {begin},{level} to {end},{level} nohead front "
                         f'linewidth 2 linecolor rgb "#000000"')
            lines.append(f'set label "{level:.{1 if factor != 1 else 0}f}" at '
                         f'{(begin + end) / 2},{level} center offset 0,{offset} front '
                         'font ",10" textcolor rgb "#000000"')
    return lines


def panel(report, kind, heading, edges, factor=1.0):
    names = list(report["servers"])
    highest = factor * max(row[name][kind] for row in report["samples"] for name in names)
    curves = ", ".join(f'$samples using 1:(${2 + 3 * i + list(KINDS).index(kind)}*{factor}) '
                       f'with lines linewidth 1.3 linecolor rgb "{COLORS[name]}" title "{name}"'
                       for i, name in enumerate(names))
    return [*median_lines(report, kind, factor, edges), f"set yrange [0:{HEADROOM * highest}]",
            f'set ylabel "{heading}"', f"plot {curves}", "unset arrow", "unset label"]


KINDS = ("memory", "descriptors", "threads")


def script(report, file):
    samples = report["samples"]
    scale = 60 if samples[-1]["seconds"] >= 300 else 1
    times = [row["seconds"] / scale for row in samples]
    edges = {name: (times[begin], times[end - 1]) for name, (begin, end) in
             zip(("second", "last"), quarters(len(samples)))}
    per_second = list(rates(samples, scale))
    most_messages, most_connections = (max(row[i] for row in per_second) for i in (1, 2))
    subtitle, color = subtitle_of(report)
    names = list(report["servers"])
    lines = [
        block("samples", ((time, *(row[name][kind] for name in names for kind in KINDS))
                          for time, row in zip(times, samples))),
        block("rates", per_second),
        HEAD.format(width=WIDTH, height=HEIGHT, file=file, end=times[-1], ink=INK, pale=PALE,
                    title=escape(title_of(report)), subtitle=escape(subtitle), color=color),
    ]
    for begin, end in edges.values():
        lines.append(f"set object rectangle from {begin},graph 0 to {end},graph 1 behind "
                     f'fillcolor rgb "{BAND}" fillstyle solid noborder')
    lines += ['set ylabel "" textcolor rgb "%s"' % INK]
    lines += panel(report, "memory", "Memory resident, MiB", edges, factor=1 / 1024)
    lines += panel(report, "descriptors", "Open descriptors", edges)
    lines += panel(report, "threads", "Threads", edges)
    lines += [
        'set format x "%g"',
        f'set xlabel "{"minutes" if scale == 60 else "seconds"}" offset 0,0.4',
        'set ylabel "Messages a second, of all clients"',
        'set y2label "Connections a second" textcolor rgb "%s"' % INK,
        "set y2tics nomirror out scale 0.5", "set border 11",
        f"set yrange [0:{HEADROOM * most_messages + 1}]",
        f"set y2range [0:{HEADROOM * most_connections + 1}]",
        'plot $rates using 1:2 with lines linewidth 1.3 linecolor rgb "#2a8a4a" '
        'title "messages", '
        '$rates using 1:3 axes x1y2 with lines linewidth 1.3 linecolor rgb "#8a5ab0" '
        'title "connections (right)", '
        '$rates using 1:($4 > 0 ? $2 : 1/0) with points pointtype 7 pointsize 1.2 '
        'linecolor rgb "#c01818" title "errors"',
        "unset multiplot",
    ]
    return "\n".join(lines)


def draw(report, file):
    subprocess.run(["gnuplot"], input=script(report, file), text=True, check=True)
