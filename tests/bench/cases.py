# cases.py: what the benchmark measures: each case, the servers it is done to, and how long.
# A server that is not there is left out, so a case names all that could take part.
# How it is done is run.py's.

import dataclasses

FLOORS = ("thread floor", "epoll floor")
OURS, OURS_TLS, NGINX_TLS = "libwebsock", "libwebsock TLS", "nginx TLS"
OURS_SESSION, OURS_CXX = "libwebsock session", "libwebsock C++"
OURS_TOPICS, FAN_OUT_FLOOR = "libwebsock topics", "fan-out floor"
UPLOAD_FLOOR, DOWNLOAD_FLOOR = "upload floor", "download floor"
BEAST_SYNC = "Beast sync"
GO, GO_TLS = "Go gorilla", "Go TLS"
PEERS = (GO, "libwebsockets", BEAST_SYNC, "Beast async", "websocketpp", "node ws")
FEW = (*FLOORS, OURS)
SAME_MODEL = (*FEW, GO)  # Go's goroutine for each connection is what a thread is here
STYLES = (*FEW, OURS_SESSION, OURS_CXX)
PLAIN = (*FEW, *PEERS)
ALL = (*STYLES, OURS_TLS, *PEERS)
HANDSHAKES = (NGINX_TLS, OURS_TLS)
TLS = (OURS, OURS_TLS, GO_TLS, "libwebsockets TLS")
TLS_FEW = (OURS_TLS, GO_TLS)
FAN_OUT = (FAN_OUT_FLOOR, OURS_TOPICS, OURS)

# bench.json has the ratio to each of these that took part; the table the case's own.
BASES = (*FLOORS, FAN_OUT_FLOOR, UPLOAD_FLOOR, DOWNLOAD_FLOOR, OURS, NGINX_TLS, GO, GO_TLS)


@dataclasses.dataclass(frozen=True)
class Case:
    """What one client program does to several servers. Pairs are (full, quick); no rounds: not
    then."""

    name: str
    connections: int
    shown: str  # the figure that is compared
    payload: int = 20
    depth: int = 1
    work: str = "echo"  # the server's
    program: str = "load"
    options: tuple = ()  # the client's
    servers: tuple = (PLAIN, SAME_MODEL)
    rounds: tuple = (3, 1)
    seconds: tuple = (1.5, 1)
    against: tuple = (*FLOORS, GO)
    pinned: bool = True  # server and client each on a processor of its own
    bound: bool = False  # is compared with the cipher's own rate


@dataclasses.dataclass(frozen=True)
class Memory:
    """So many connections, and those who keep them. kept: after one echo each they stay; else
    they all close, and it is measured what of their memory the server gives back. Pairs are
    (full, quick), as in Case."""

    connections: int
    servers: tuple
    kept: bool = True
    rounds: tuple = (3, 1)

    @property
    def name(self):
        return f"{'idle' if self.kept else 'given back'}, {self.connections} connections"


@dataclasses.dataclass(frozen=True)
class Bulk:
    """A large message on each connection, all at once. size: bytes of each."""

    name: str
    connections: int
    upload: bool
    servers: tuple
    floor: str
    size: tuple = (1 << 30, 1 << 28)
    rounds: tuple = (3, 1)


def handshakes(name, *options):
    return Case(name, 16, "server_us", program="churn", options=options,
                servers=(HANDSHAKES, HANDSHAKES), against=(NGINX_TLS,))


def fan_out(payload, receivers=500, burst=1, quick=0, peers=PEERS):
    name = f"fan-out {payload} B to {receivers}" + (f", {burst} at once" if burst > 1 else "")
    return Case(name, receivers, "per_second", payload=payload, depth=burst, work="fanout",
                program="fanout", servers=((*FAN_OUT, *peers), (*FAN_OUT, GO)),
                against=(FAN_OUT_FLOOR, OURS, GO), rounds=(3, quick))


def deaf(count):
    """2000 bytes, so that those who do not read have no more room at once. The floor would wait
    for them forever."""
    servers = (OURS_TOPICS,) if count else (FAN_OUT_FLOOR, OURS_TOPICS)
    return Case(f"fan-out 2000 B to 5000, {count} deaf", 5000, "per_second", payload=2000,
                work="fanout", program="fanout", options=("--deaf", count, "--warmup", 3),
                servers=(servers, ()), against=(FAN_OUT_FLOOR,), rounds=(3, 0), seconds=(6, 0))


def stale(send_buffer_bytes, quick=0):
    """Latency is the age of the prices. The warm-up fills what lies between."""
    return Case(f"prices at 20 kB/s, buffer {send_buffer_bytes}", 1, "per_second",
                work=f"prices={send_buffer_bytes}", program="stale",
                options=("--rate", 20000, "--warmup", 6), servers=((OURS,), (OURS,)), against=(),
                rounds=(2, quick), seconds=(5, 4))


def unpinned(case, quick=0, rounds=2):
    """The same with server and client free on all processors, and with fewer servers."""
    servers = [name for name in case.servers[0] if name in UNPINNED_SERVERS]
    return dataclasses.replace(case, name=f"{case.name}, unpinned", pinned=False, bound=False,
                               servers=(servers, servers), rounds=(rounds, quick),
                               seconds=(1.5, 1))


UNPINNED_SERVERS = (*SAME_MODEL, OURS_SESSION, OURS_TLS, GO_TLS, FAN_OUT_FLOOR, OURS_TOPICS,
                    "libwebsockets")
ECHO = (
    Case("echo 20 B, 64 connections", 64, "server_us", servers=((*STYLES, *PEERS), PLAIN),
         rounds=(5, 1), seconds=(2, 1)),
    Case("echo 20 B, 16 connections", 16, "server_us", servers=((*STYLES, GO), SAME_MODEL),
         rounds=(5, 1)),
    Case("echo 20 B, 256 connections", 256, "server_us", servers=((*STYLES, *PEERS), SAME_MODEL)),
    Case("echo 20 B, 1000 connections", 1000, "server_us",
         servers=((*STYLES, *PEERS), SAME_MODEL)),
    Case("echo 1 KiB, 64 connections", 64, "server_us", payload=1024, rounds=(3, 0)),
    Case("echo 1 KiB, 1000 connections", 1000, "server_us", payload=1024, rounds=(3, 0)),
    Case("echo 20 B, 16 x 32 deep", 16, "per_second", depth=32, servers=(ALL, SAME_MODEL)),
    Case("echo 64 KiB, 16 connections", 16, "per_second", payload=65536),
    Case("echo 1 MiB, 4 connections", 4, "per_second", payload=1048576,
         servers=(ALL, (*SAME_MODEL, OURS_TLS)), bound=True),
    Case("TLS echo 20 B, 64 connections", 64, "server_us", servers=(TLS, TLS_FEW),
         against=(GO_TLS, OURS), rounds=(5, 1)),
)
SESSIONS = Case("sessions, 16 at a time", 16, "per_second", program="churn")
CASES = (
    *ECHO,
    # An event loop does one at a time, a thousand a second: that it takes its time is bounded
    # by the time measured.
    Case("callbacks block 1 ms, 200 conn.", 200, "per_second", work="block=1"),
    fan_out(100, 1, peers=PEERS[:2]),
    fan_out(100, 10, peers=PEERS[:2]),
    fan_out(100, 100, peers=PEERS[:2]),
    fan_out(20),
    fan_out(100, quick=1),
    fan_out(20, burst=10),
    fan_out(100, burst=10, quick=1),
    deaf(0),
    deaf(5000),
    stale(0, quick=1),
    stale(4096),
    stale(16384),
    SESSIONS,
    # libwebsockets leaves it to the client to end a TLS connection, which waits for the server
    # (RFC 6455 7.1.1).
    Case("TLS sessions, 16 at a time", 16, "server_us", program="churn",
         servers=(TLS_FEW, TLS_FEW), against=(GO_TLS,), rounds=(5, 1)),
    unpinned(ECHO[0], quick=1, rounds=3),
    *map(unpinned, ECHO[1:]),
    unpinned(SESSIONS, quick=1),
    unpinned(fan_out(100)),
    Case("crowd, 10000 conn., 10000 per s", 10000, "server_us", program="crowd",
         options=("--rate", 10000), servers=(FEW, FEW), rounds=(2, 0), seconds=(4, 0)),
    handshakes("TLS handshakes", "--until", "secured"),
    handshakes("TLS handshakes, resumed", "--until", "secured", "--resumed"),
    handshakes("TLS to the 101", "--until", "opened"),
    handshakes("TLS to the 101, resumed", "--until", "opened", "--resumed"),
)

MEMORY = (
    Memory(1000, ((*FLOORS, OURS, OURS_TLS, GO, GO_TLS, BEAST_SYNC), (OURS, OURS_TLS, GO))),
    Memory(5000, ((OURS_TLS,), ()), rounds=(3, 0)),
    Memory(10000, (("thread floor", OURS, GO, BEAST_SYNC), ()), rounds=(3, 0)),
    Memory(5000, ((OURS,), ()), kept=False, rounds=(2, 0)),
)
UPLOADS = (UPLOAD_FLOOR, "onpart", "receive_part")
DOWNLOADS = (DOWNLOAD_FLOOR, "send_file", "send_file, session")
BULK = (
    Bulk("bulk, 1 in", 1, True, UPLOADS, UPLOAD_FLOOR),
    Bulk("bulk, 1 out", 1, False, DOWNLOADS, DOWNLOAD_FLOOR),
    Bulk("bulk, 50 in", 50, True, (*UPLOADS, "onpart, slow"), UPLOAD_FLOOR,
         size=(1 << 25, 1 << 23)),
)
# (threads, topics); full and QUICK.
PUBLISH = "publish"
DISPATCH = "dispatch"  # the dispatcher alone
DISPATCHING = ((1, 2, 4, 8, 16), (2, 16))  # threads that post, and lanes
CALLS = "calls"  # posts and timers
WAITING_TIMERS = ((1000, 1_000_000), (1_000_000,))
PUBLISHERS = (((1, 1), (4, 1), (4, 1000)), ((1, 1), (4, 1000)))
LOCKS_COUNTED = "libwebsock, locks counted"
LOCKS = (
    Case("locks, 64 connections", 64, "taken", rounds=(1, 1)),
    Case("locks, 64, unpinned", 64, "taken", rounds=(1, 1), pinned=False),
)

# Levels of compression: None is plain, 0 what the library has by default, which is this, and
# "6/16384" level 6 with a history of 16 KiB:
OWN_LEVEL = {OURS: 3, OURS_TOPICS: 3, BEAST_SYNC: 8, "Beast async": 8, "websocketpp": 6,
             "node ws": 6}


@dataclasses.dataclass(frozen=True)
class Compression:
    """A message with permessage-deflate, and without. servers: (name, level). Memory is measured
    after it was echoed on other connections, unless there are none."""

    name: str
    message: str  # see texts.h
    servers: tuple
    connections: int = 64
    idle_connections: int = 200
    work: str = "echo"
    program: str = "deflate_load"
    rounds: tuple = (3, 0)
    seconds: tuple = (1.5, 1)


def with_levels(name, *levels):
    return tuple((name, level) for level in (None, *levels))


COMPRESSING = (*with_levels(OURS, 1, 3, 6, "6/16384"), *with_levels(BEAST_SYNC, 0),
               *with_levels("Beast async", 6, 0), *with_levels("websocketpp", 0),
               *with_levels("node ws", 0))
COMPRESSING_FEW = (*with_levels(OURS, 0), *with_levels("node ws", 0))
COMPRESSING_TO_ALL = (*with_levels(OURS_TOPICS, 0), *with_levels("Beast async", 0),
                      *with_levels("websocketpp", 0), *with_levels("node ws", 0))
COMPRESSING_TO_ALL_FEW = with_levels(OURS_TOPICS, 0)


def compressed_echo(name, message, quick=0):
    return Compression(f"compression, {name}", message, (COMPRESSING, COMPRESSING_FEW),
                       rounds=(3, quick))


def compressed_fan_out(name, message, quick=0):
    return Compression(f"compression, {name} to 500", message,
                       (COMPRESSING_TO_ALL, COMPRESSING_TO_ALL_FEW), connections=500,
                       idle_connections=0, work="fanout", program="deflate_fanout",
                       rounds=(3, quick))


COMPRESSION = (
    compressed_echo("150 B ticker", "ticker"),
    compressed_echo("2 KiB JSON", "json2k", quick=1),
    compressed_echo("64 KiB JSON", "json64k"),
    compressed_echo("2 KiB random", "random2k"),
    compressed_fan_out("150 B ticker", "ticker"),
    compressed_fan_out("2 KiB JSON", "json2k", quick=1),
)
MICRO = "micro"  # the inner loops: its name for --only

WARM_UP_SECONDS = (0.5, 0.3)
