# table.py: the goal, what misses it, and what run.py prints.

import dataclasses

GOAL_MS = 100
# Beyond these the whole siege fails.
FAR_MS, FAR_MEMORY = 1000, 4
NEVER = float("inf")

NOTES = """\
KiB each: private memory of the server's process (smaps_rollup) at the peak, less what it was
before the attackers came, for each of them; at the end where the case says "after". bound: what
libwebsock_limits(7) grants them. ended: connections of theirs that the server ended; they come
back. thr.: threads of the server at the peak. worst, p99: of the honest client's echoes of 20
bytes, one every 2 ms; those that had not come in the end count with their age, so an echo that
never comes shows as the length of the case. to all: the longest libwebsock_send_all in ms, and
how many a second there were. new: the worst of those who come anew every 50 ms, from connect to
their first echo.
!: misses the goal: an echo within 100 ms, memory within the bound, no newcomer turned away. On a
busy machine "nobody" misses it, too."""


@dataclasses.dataclass
class Result:
    """What one run measured. The last four are reports of the programs themselves."""

    case: str
    settings: str
    transport: str
    count: int
    seconds: float
    kib_each: float
    bound_kib: float
    threads: int
    honest: dict
    server: dict
    attackers: dict
    newcomer: dict | None

    def misses(self):
        """What misses the goal, and by what factor."""
        times = {"echo": NEVER if self.honest["lost"] else self.honest["worst_ms"] / GOAL_MS,
                 "memory": self.kib_each / self.bound_kib}
        if self.newcomer and self.newcomer["turned_away"]:
            times["newcomers"] = NEVER
        return {what: by for what, by in times.items() if by > 1}

    def is_far(self):
        misses = self.misses()
        return misses.get("echo", 0) > FAR_MS / GOAL_MS or misses.get("memory", 0) > FAR_MEMORY


def row(*cells):
    print("{:<29} {:<10} {:<5} {:>5} {:>6} {:>9} {:>6} {:>6} {:>9} {:>7} {:>11} {:>7}  {}".format(
        *cells).rstrip(), flush=True)


def print_heading():
    row("case", "settings", "", "count", "ended", "KiB each ", "bound", "thr.", "worst ms ",
        "p99 ms", "to all", "new ms ", "misses")


def print_result(result):
    misses = result.misses()

    def marked(figure, digits, what):
        return f"{figure:.{digits}f}{'!' if what in misses else ' '}"

    row(result.case, result.settings, result.transport, result.count, result.attackers["ended"],
        marked(result.kib_each, 1, "memory"), f"{result.bound_kib:.0f}", result.threads,
        marked(result.honest["worst_ms"], 1, "echo"), f"{result.honest['p99_ms']:.1f}",
        to_all(result), result.newcomer and marked(result.newcomer["worst_ms"], 0, "newcomers")
        or "", ", ".join(words(result, misses)))


def to_all(result):
    sent = result.server["sent"]
    if not sent:
        return ""
    return f"{result.server['send_all_ms']:.0f}, {sent / result.seconds:.0f}/s"


def words(result, misses):
    for what, by in misses.items():
        if by != NEVER:
            yield f"{what} {by:.1f}x"
    if result.honest["lost"]:
        yield "the honest client was dropped"
    if "newcomers" in misses:
        yield f"{result.newcomer['turned_away']} newcomers turned away"
