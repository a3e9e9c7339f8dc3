# cases.py: what the siege consists of: each attack, by how many, what the server is told to do
# meanwhile, and what memory the manual grants an attacker. How it is done is run.py's.

import dataclasses

KIB, MIB = 1024, 1024 * 1024
DEFAULT, STRICT, WORKERS = "default", "strict", "16 workers"
PLAIN, TLS = "plain", "tls"

# strict: what libwebsock_context(3) advises to a server for the open Internet.
SETTINGS = {
    DEFAULT: {},
    STRICT: {"handshake_timeout_ms": 5000, "idle_timeout_ms": 50000, "send_timeout_ms": 10000,
             "close_timeout_ms": 2000, "max_connections": 5000, "max_workers": 64,
             "max_frame_payload": 4096, "max_message_payload": 16384,
             "max_handshake_bytes": 4096, "max_queued_bytes": 65536},
    WORKERS: {"max_workers": 16},
}
# Those of DEFAULT that a bound is made of.
QUEUED, FRAME, MESSAGE, REQUEST = 4 * MIB, 16 * MIB, 16 * MIB, 8 * KIB

# libwebsock_limits(7): an idle client, without what the kernel keeps; and with TLS, what is
# encrypted ahead and what TLS answers by itself.
IDLE = {PLAIN: 13.5 * KIB, TLS: 42 * KIB}
TLS_AHEAD = 2 * 64 * KIB
TLS_HANDSHAKE = 16 * KIB  # what OpenSSL keeps until it is complete
WORKER = 16 * KIB  # of a thread whose callback blocks
OF_ALL = 4 * MIB  # that the process may take once, whoever attacks it

# Every kind of settings and transport there is, from the most to the least instructive.
ALL_RUNS = ((DEFAULT, PLAIN), (STRICT, TLS), (WORKERS, PLAIN), (DEFAULT, TLS), (STRICT, PLAIN),
            (WORKERS, TLS))
# Where the program's own callbacks use up 16 workers, what waits for them waits by contract.
UNLIMITED = ((DEFAULT, PLAIN), (DEFAULT, TLS))
UNLIMITED_OR_64 = ((DEFAULT, PLAIN), (STRICT, TLS), (DEFAULT, TLS), (STRICT, PLAIN))


@dataclasses.dataclass(frozen=True)
class Case:
    """Pairs of counts are (plain, TLS). holds: what an attacker may make the server hold, of
    "in" and "out" (what waits in each direction), "frame", "message" (its fragments), "worker"
    (for a callback of its own), "request" (until it is answered). sizes: of its messages, as far as the settings allow it."""

    name: str
    attack: str
    count: tuple
    holds: tuple = ()
    size: int = 100
    server: tuple = ()  # further settings, and what it sends to all
    runs: tuple = ALL_RUNS
    newcomers: bool = False  # come all the time, and must be served as well
    gives_back: bool = False  # its memory at the end counts, not that at the peak
    seconds: tuple = (0, 0)  # instead of the usual time: (full, quick)
    program: str = "besiege"
    log_is_read: bool = True


def to_all(size, count, every_ms):
    """Sends so many messages of this size to all, again and again."""
    return (("broadcast_bytes", size), ("broadcast_count", count), ("broadcast_every_ms", every_ms))


SMALL_TO_ALL = to_all(100, 20, 1)
LARGE_TO_ALL = to_all(64 * KIB, 1, 20)

CASES = (
    Case("nobody", "idle", (0, 0), newcomers=True),

    # Who does not read.
    Case("deaf, 100 B to all", "deaf", (64, 64), ("out",), server=SMALL_TO_ALL),
    Case("deaf, 64 KiB to all", "deaf", (64, 64), ("out",), server=LARGE_TO_ALL),
    Case("pongs unread", "pings", (64, 64)),
    Case("half a KeyUpdate", "", (64, 64), server=(("ciphersuites", "TLS_AES_128_GCM_SHA256"),),
         runs=((WORKERS, TLS), (STRICT, TLS), (DEFAULT, TLS)), program="half_key_update"),
    Case("half a KeyUpdate, to all", "", (64, 64), ("out",),
         server=(("ciphersuites", "TLS_AES_128_GCM_SHA256"), *SMALL_TO_ALL),
         runs=((WORKERS, TLS), (STRICT, TLS), (DEFAULT, TLS)), program="half_key_update"),
    Case("echoes unread, 100 B", "unread echoes", (64, 64), ("in", "out", "worker")),
    Case("echoes unread, 1 MiB", "unread echoes", (16, 16), ("in", "out", "frame", "worker"),
         size=MIB),
    Case("slow, 64 KiB to all", "slow", (64, 64), ("out",), server=LARGE_TO_ALL),
    Case("slow, echoes of 100 B", "slow echoes", (64, 64), ("in", "out", "worker")),

    # What waits while a callback blocks.
    Case("empty pings, pongs", "empty controls", (4, 4), ("in", "worker")),
    Case("pings, pongs of 125 B", "full controls", (4, 4), ("in", "worker")),
    Case("empty fragments", "empty fragments behind a callback", (4, 4), ("in", "worker")),
    Case("1-byte messages", "tiny messages", (4, 4), ("in", "worker")),
    Case("1-byte messages, pongs", "tiny messages and pings", (4, 4), ("in", "worker")),
    Case("1-byte fragments", "tiny fragments", (4, 4), ("in", "worker")),

    # Messages that wait for another one's last fragment.
    Case("between fragments", "fragments", (16, 16), ("out",), server=to_all(20, 50, 1)),
    Case("between fragments, deaf", "deaf fragments", (16, 16), ("out",),
         server=to_all(20, 50, 1)),

    # Callbacks that block.
    Case("concurrent burst", "burst", (1, 1), ("in", "worker"),
         server=(("concurrent_events", 1),), runs=UNLIMITED_OR_64),
    Case("8,000 callbacks block", "blocked", (8000, 2000), ("in", "worker"), runs=UNLIMITED,
         seconds=(5, 3)),
    Case("callbacks block 100 us", "blocked shortly", (64, 64), ("in", "worker"), runs=UNLIMITED),

    # Handshakes.
    Case("idle connects", "idle", (6000, 6000), ("request",), newcomers=True),
    Case("half requests", "half requests", (1000, 1000), ("request",), newcomers=True),
    Case("connects, 8,000/s", "connects", (4000, 4000), ("request",), newcomers=True),
    Case("ClientHellos, 4,000/s", "hellos", (4000, 4000), ("request",), newcomers=True,
         runs=((DEFAULT, TLS), (STRICT, TLS), (WORKERS, TLS))),
    Case("sessions, 2,000/s", "sessions", (200, 200), ("request",), newcomers=True),
    Case("malformed, 4,000/s", "malformed", (200, 200), ("request",), newcomers=True),
    Case("malformed, log unread", "malformed", (200, 200), ("request",), newcomers=True, log_is_read=False,
         server=(("keep_log", 1),)),
    Case("beyond max_connections", "connects", (500, 500),
         server=(("max_connections", 100),)),
    Case("100,000 headers", "headers", (4, 4), ("request",)),

    # Bursts.
    Case("a million messages", "million messages", (1, 1), ("in",)),
    Case("10^7 empty fragments", "ten million empty fragments", (1, 1), ("in",)),

    # Promises that are not kept.
    Case("16 MiB announced", "announced", (1000, 1000), size=16 * MIB),
    Case("16 MiB, 10 B/s", "trickle", (1000, 1000), size=16 * MIB),
    Case("1 MiB, never the end", "gathered", (64, 64), ("message",), size=MIB),

    # Ends.
    Case("Close unanswered", "close unanswered", (1000, 1000), ("worker",)),
    Case("Close, and deaf", "close and deaf", (64, 64), ("in", "out", "worker")),
    Case("resets, 1,000/s", "resets", (200, 200), newcomers=True),

    # Memory that is not needed any more.
    Case("heartbeats after 1 MiB", "heartbeats", (64, 64), size=MIB, gives_back=True,
         seconds=(8, 4)),
)


def size_of(case, settings):
    """Of the attackers' messages: what the server takes."""
    frame = SETTINGS[settings].get("max_frame_payload", FRAME)
    message = SETTINGS[settings].get("max_message_payload", MESSAGE)
    return min(case.size, message if "message" in case.holds else frame)


def bound(case, settings, transport):
    """Bytes for each attacker."""
    queued = SETTINGS[settings].get("max_queued_bytes", QUEUED)
    request = SETTINGS[settings].get("max_handshake_bytes", REQUEST)
    size = size_of(case, settings)
    parts = {"in": queued, "out": queued + (TLS_AHEAD if transport == TLS else 0),
             "frame": size, "message": 2 * size, "worker": WORKER,
             "request": request + (TLS_HANDSHAKE if transport == TLS else 0)}
    attackers = case.count[transport == TLS]
    return (IDLE[transport] + sum(parts[part] for part in case.holds)
            + OF_ALL / max(attackers, 1))
