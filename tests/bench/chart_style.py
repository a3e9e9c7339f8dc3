# chart_style.py: how all charts look: size, colors and fonts, and what gnuplot is told first.
# The charts themselves are charts.py's and scatter.py's.

from cases import FLOORS, OURS, OURS_SESSION, OURS_TLS

WIDTH = 1200  # pixels
INK, PALE, SOFT = "#333333", "#e3e3e3", "#777777"
COLORS = {"ours": "#1f6fb4", "TLS": "#7fb2dd", "floor": "#b5bac0", "peer": "#d9a441"}

SETUP = """\
set terminal pngcairo size {width},{height} font "DejaVu Sans,12" background "#ffffff"
set output "{file}"
set multiplot
set label 1 "{{/:Bold {title}}}" at screen 0.02,{title_at} left font ",17" textcolor rgb "{ink}"
set label 2 "{note}" at screen 0.02,{note_at} left font ",11" textcolor rgb "{soft}"
set border 0
unset key
set xtics scale 0 offset 0,0.3 textcolor rgb "{soft}" font ",10"
set lmargin at screen {left}
set rmargin at screen 0.96
"""


def kind_of(name):
    """The kind of server, which decides its color."""
    if name in FLOORS:
        return "floor"
    return {OURS: "ours", OURS_SESSION: "ours", OURS_TLS: "TLS"}.get(name, "peer")


def escape(text):
    """Escapes for gnuplot's enhanced text in double quotes."""
    return "".join("\\\\" + char if char in "_^@&~{}" else char
                   for char in text.replace("\n", "\0")).replace("\0", "\\n")


def label(name):
    return "{/:Bold " + escape(name) + "}" if name in (OURS, OURS_SESSION, OURS_TLS) else escape(name)
