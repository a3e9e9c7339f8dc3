# cases.py: what the siege consists of: each attack, with how many attackers, how the server is
# set up for it, and how much memory the manual grants an attacker. run.py carries it out.

import dataclasses

KIB, MIB = 1024, 1024 * 1024
DEFAULT, STRICT, WORKERS = "default", "strict", "16 workers"
PLAIN, TLS = "plain", "tls"

# strict: what libwebsock_context(3) recommends for a server on the open Internet.
SETTINGS = {
    DEFAULT: {},
    STRICT: {"handshake_timeout_ms": 5000, "idle_timeout_ms": 50000, "send_timeout_ms": 10000,
             "close_timeout_ms": 2000, "max_connections": 5000, "max_workers": 64,
             "max_frame_payload": 4096, "max_message_payload": 16384,
             "max_handshake_bytes": 4096, "max_queued_bytes": 65536},
    WORKERS: {"max_workers": 16},
}
# The settings of DEFAULT that bounds are made of.
QUEUED, FRAME, MESSAGE, REQUEST = 4 * MIB, 16 * MIB, 16 * MIB, 16 * KIB
READ = 256 * KIB  # one read into a receive buffer, or an eighth of what may wait

# libwebsock_limits(7): an idle client, without the kernel's part; with TLS, also what is
# encrypted ahead and what TLS answers by itself.
IDLE = {PLAIN: 13.5 * KIB, TLS: 42 * KIB}
TLS_AHEAD = 2 * 64 * KIB
TLS_HANDSHAKE = 16 * KIB  # what OpenSSL keeps until it is complete
WORKER = 16 * KIB  # for a thread whose callback blocks
OF_ALL = 4 * MIB  # which the process may take once, whoever attacks it
ROOM = 1.25  # for malloc's overhead and whole pages

# The runs of a case, the most telling first: with few workers where an attack may hold up
# workers, otherwise with the defaults.
FEW_WORKERS = ((WORKERS, PLAIN), (STRICT, TLS), (DEFAULT, PLAIN), (DEFAULT, TLS),
               (WORKERS, TLS), (STRICT, PLAIN))
FEW_WORKERS_TLS = ((WORKERS, TLS), (STRICT, TLS), (DEFAULT, TLS))
MEMORY = ((DEFAULT, PLAIN), (STRICT, TLS), (DEFAULT, TLS), (STRICT, PLAIN), (WORKERS, PLAIN),
          (WORKERS, TLS))
PLAIN_AND_TLS = ((DEFAULT, PLAIN), (STRICT, TLS))
# Where the program's own callbacks use up the workers, events wait without a limit, by contract.
NO_LIMIT = ((DEFAULT, PLAIN), (DEFAULT, TLS))
NO_LIMIT_TLS = ((DEFAULT, TLS),)


@dataclasses.dataclass(frozen=True)
class Case:
    """Pairs of counts are (plain, TLS). holds: what an attacker may make the server hold:
    "in" and "out" (what waits in each direction), "frame", "message" (its fragments), "worker"
    (for a callback of its own), "request" (until it is answered), "tls" (what it provokes
    there). size: of its messages, as far as the settings allow it."""

    name: str
    attack: str
    count: tuple
    holds: tuple = ()
    size: int = 100
    server: tuple = ()  # further settings, and what the server sends to all
    runs: tuple = FEW_WORKERS
    newcomers: bool = False  # new clients come all the time and must be served, too
    gives_back: bool = False  # the bound is for its memory at the end, not at the peak
    seconds: tuple = (0, 0)  # instead of the usual time: (full, quick)
    program: str = "besiege"
    log: str = "none"  # or who reads it: "nobody reads", "nobody is there"


def to_all(size, count, every_ms):
    """Sends this many messages of this size to all, again and again."""
    return (("broadcast_bytes", size), ("broadcast_count", count), ("broadcast_every_ms", every_ms))


SMALL_TO_ALL = to_all(100, 100, 1)
LARGE_TO_ALL = to_all(64 * KIB, 1, 20)

CIPHER = (("ciphersuites", "TLS_AES_128_GCM_SHA256"),)  # the one that can be forged

CASES = (
    Case("nobody", "idle", (0, 0), newcomers=True),

    # Clients that do not read.
    Case("deaf, small ones to all", "deaf", (24, 24), ("out",), server=SMALL_TO_ALL),
    Case("deaf, large ones to all", "deaf", (64, 64), ("out",), server=LARGE_TO_ALL),
    # Not strict: with those settings a flood of chat by contract closes a client too slow to
    # read it.
    Case("deaf in a chat", "chat", (24, 24), ("in", "out", "worker"), size=4000,
         runs=((WORKERS, PLAIN), (DEFAULT, PLAIN), (DEFAULT, TLS))),
    Case("pongs unread", "pings", (64, 64), ("read",)),
    Case("KeyUpdates, answers unread", "key updates", (64, 64), ("tls",), runs=FEW_WORKERS_TLS),
    Case("half a KeyUpdate", "", (64, 64), server=CIPHER, runs=FEW_WORKERS_TLS,
         program="half_key_update"),
    Case("half a KeyUpdate, to all", "", (64, 64), ("out",), server=(*CIPHER, *SMALL_TO_ALL),
         runs=FEW_WORKERS_TLS, program="half_key_update"),
    Case("the same, short of threads", "", (64, 64), ("out",), runs=NO_LIMIT_TLS,
         server=(*CIPHER, *SMALL_TO_ALL, ("spare_mib", 128)), program="half_key_update"),
    Case("echoes unread, 100 B", "unread echoes", (64, 64), ("in", "out", "worker")),
    Case("echoes unread, 1 MiB", "unread echoes", (64, 64), ("in", "out", "frame", "worker"),
         size=MIB),
    Case("slow, large ones to all", "slow", (64, 64), ("out",), server=LARGE_TO_ALL),
    Case("slow, echoes of 100 B", "slow echoes", (64, 64), ("in", "out", "worker")),

    # Events that wait while a callback blocks.
    Case("empty pings, pongs", "empty controls", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("pings, pongs of 125 B", "full controls", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("empty fragments", "empty fragments", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("1 B, then empty fragments", "sparse messages", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("1 B, then pongs", "sparse messages and pongs", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("1-byte messages", "tiny messages", (4, 4), ("in", "worker"), runs=MEMORY),
    Case("1-byte fragments", "tiny fragments", (4, 4), ("in", "worker"), runs=MEMORY),

    # Messages that wait for another message's last fragment.
    Case("between fragments", "fragments", (4, 4), ("out",), server=to_all(20, 500, 1)),
    Case("between fragments, deaf", "deaf fragments", (4, 4), ("out",),
         server=to_all(20, 500, 1)),

    # Callbacks that block.
    Case("concurrent burst", "burst", (1, 1), ("in", "worker"),
         server=(("concurrent_events", 1),), runs=((STRICT, TLS), *NO_LIMIT)),
    Case("8,000 callbacks block", "blocked", (8000, 2000), ("in", "worker"), runs=NO_LIMIT,
         seconds=(5, 3)),
    Case("callbacks block 100 us", "blocked shortly", (64, 64), ("in", "worker"), runs=NO_LIMIT),

    # Handshakes.
    Case("6,000 idle connects", "idle", (6000, 6000), ("request",), newcomers=True,
         runs=((STRICT, PLAIN), (DEFAULT, TLS))),
    Case("half requests", "half requests", (1000, 1000), ("request",), newcomers=True,
         runs=PLAIN_AND_TLS),
    Case("connects, 8,000/s", "connects", (4000, 4000), ("request",), newcomers=True,
         runs=PLAIN_AND_TLS),
    Case("ClientHellos, 4,000/s", "hellos", (4000, 4000), ("request",), newcomers=True,
         runs=((DEFAULT, TLS), (STRICT, TLS))),
    Case("sessions, 2,000/s", "sessions", (200, 200), ("request",), newcomers=True),
    Case("sessions, stdout unread", "sessions", (200, 200), ("request", "worker"), newcomers=True,
         server=(("default_callbacks", 1),)),
    Case("malformed, 4,000/s", "malformed", (200, 200), ("request",), newcomers=True,
         runs=PLAIN_AND_TLS),
    Case("malformed, log unread", "malformed", (200, 200), ("request",), newcomers=True,
         log="nobody reads"),
    Case("malformed, log's reader gone", "malformed", (200, 200), ("request",), newcomers=True,
         log="nobody is there", runs=PLAIN_AND_TLS),
    Case("beyond max_connections", "connects", (500, 500), runs=PLAIN_AND_TLS,
         server=(("max_connections", 100),)),
    Case("100,000 headers", "headers", (4, 4), ("request",), runs=PLAIN_AND_TLS),

    # Bursts.
    Case("a million messages", "million messages", (1, 1), ("in",), runs=PLAIN_AND_TLS),
    Case("10^7 empty fragments", "ten million empty fragments", (1, 1), ("in",),
         runs=PLAIN_AND_TLS),
    Case("messages of 16 MiB", "large messages", (16, 16),
         ("in", "frame", "frame", "worker"), size=16 * MIB, runs=PLAIN_AND_TLS),
    Case("a byte at a time", "single bytes", (64, 64), ("in", "worker"), runs=PLAIN_AND_TLS),

    # Promises that are not kept.
    Case("16 MiB announced", "announced", (1000, 1000), size=16 * MIB, runs=PLAIN_AND_TLS),
    Case("2^62 bytes announced", "too much announced", (1000, 1000), runs=PLAIN_AND_TLS),
    Case("16 MiB, 10 B/s", "trickle", (1000, 1000), size=16 * MIB, runs=PLAIN_AND_TLS),
    Case("1 MiB, never the end", "gathered", (64, 64), ("message",), size=MIB,
         runs=PLAIN_AND_TLS),

    # Ends.
    Case("Close unanswered", "close unanswered", (1000, 1000), ("worker",)),
    Case("Close, and deaf", "close and deaf", (64, 64), ("in", "out", "worker")),
    Case("resets, 1,000/s", "resets", (200, 200), newcomers=True),
    Case("2,000 come and go", "crowd", (2000, 1000), ("in", "frame", "worker"), size=16 * KIB,
         runs=PLAIN_AND_TLS),

    # Memory that is no longer needed.
    Case("heartbeats after 1 MiB", "heartbeats", (64, 64), size=MIB, gives_back=True,
         seconds=(8, 5), runs=MEMORY),
)


def size_of(case, settings):
    """The size of the attackers' messages that the server accepts."""
    frame = SETTINGS[settings].get("max_frame_payload", FRAME)
    message = SETTINGS[settings].get("max_message_payload", MESSAGE)
    return min(case.size, message if "message" in case.holds else frame)


def told(case, settings):
    """The server's command line: its settings and the case's. A message to all is at most a
    quarter of what may wait for a client, otherwise readers would be dropped with the deaf;
    there are more of them instead."""
    values = {**SETTINGS[settings], **dict(case.server), "keep_log": int(case.log != "none")}
    most = values.get("max_queued_bytes", QUEUED) // 4
    size = values.get("broadcast_bytes", 0)
    if size > most:
        values["broadcast_bytes"] = most
        values["broadcast_count"] *= size // most
    return values


def bound(case, settings, transport):
    """The bound for each attacker, in bytes."""
    queued = SETTINGS[settings].get("max_queued_bytes", QUEUED)
    request = SETTINGS[settings].get("max_handshake_bytes", REQUEST)
    size = size_of(case, settings)
    parts = {"in": queued, "out": queued + (TLS_AHEAD if transport == TLS else 0),
             "read": min(queued // 8, READ) + (TLS_AHEAD if transport == TLS else 0),
             "frame": size, "message": 2 * size, "worker": WORKER,
             "tls": TLS_AHEAD, "request": request + (TLS_HANDSHAKE if transport == TLS else 0)}
    attackers = case.count[transport == TLS]
    granted = IDLE[transport] + sum(parts[part] for part in case.holds)
    return ROOM * granted + OF_ALL / max(attackers, 1)
