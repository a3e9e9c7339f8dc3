# table.py: what run.py prints of its figures, and what they mean.

from cases import FAN_OUT_FLOOR, FLOORS, GO, GO_TLS, NGINX_TLS, OURS
from figures import ratios
from memory import KINDS

SHORT = {FLOORS[0]: "thread", FLOORS[1]: "epoll", FAN_OUT_FLOOR: "floor", OURS: "ours",
         NGINX_TLS: "nginx", GO: "Go", GO_TLS: "Go"}
COMPARED = {"per_second": "per s", "server_us": "us"}

NOTES = """\
per s: messages, deliveries (fan-out) or sessions; server us: CPU time of the server's process
(user and system) for one of them. ratios: of what the case compares, its us (less is better)
or its rate, to the floors' in the same run: bare TCP, a blocking thread a connection (thread) and
one thread with epoll (epoll); where they cannot take part, to the fan-out floor's (floor) and
ours; and to Go's (Go), a goroutine a connection. latency of fan-out: until the
last receiver has it; of crowd: from when the message was due; of sessions: from connect to the
end.
sessions: connect, opening handshake, echo, closing handshake; the floors' have no handshakes.
unpinned: server and client both run on all processors. Else each has one of its own.
callbacks block: the thread floor's threads block as long, all at once: that is the ideal.
TLS: 1.3, OpenSSL's default cipher, an EC P-256 key; the same certificate for nginx.
TLS handshakes: connect, TLS handshake, end (resumed: from a ticket), 16 at a time; to the 101:
also the opening handshake of WebSocket, to which nginx gives an answer that is in its
configuration. Of nginx the one worker is measured. In full they cost the client more than the
server: look at server us.
locks: how often mutexes are taken for an echo of 20 B, and how long they are held, by a server
that counts. shared: those that more than half of the threads have taken; others: all the rest.
Threads: so many have taken the one that most have. A wait gives a mutex back and takes it again.
idle: KiB per connection, after one echo each, with both ends of each connection on this
machine. "process" is the server's own Private memory; stacks, slab, tables: KernelStack, Slab
and PageTables of the whole system; "sum" of these four. "available" is what MemAvailable lost,
everything included, also what other programs took meanwhile.
compression: permessage-deflate with context takeover, all defaults but for the level; the client
inflates and compares every answer. x plain: to the same server without it. ratio: bytes of the
messages to those that the server sent for them, frames' headers included. KiB: what the server's
RSS has grown by for each of 200 connections that have had more than 32 KiB and are idle.
bulk: one large message on each connection, through a server that never has all of it. The floors
are a blocking thread for each connection with a buffer of 64 KiB. peak: the server's VmHWM; each:
what it has gained since it started, for each connection. slow: onpart takes 1 ms each time.
given back: the server's Private memory before, with and after so many connections."""


def row(*cells):
    print("{:<40} {:<18} {:>8} {:>5} {:>9} {:>8} {:>8} {:>8} {:>9}  {}".format(*cells).rstrip(),
          flush=True)


def print_heading():
    row("case", "server", "per s", "\u00b1", "server us", "p50 us", "p99 us", "p99.9 us",
        "cores s/c", "ratios")


def print_case(case, results):
    for name, result in results.items():
        def figure(key, digits=0, result=result):
            return f"{result[key]['median']:.{digits}f}"

        shown = ", ".join(f"{result['ratios'][base]['median']:.2f} {SHORT[base]}"
                          for base in case.against if base in result["ratios"])
        row(case.name, name, figure("per_second"), f"{result[case.shown]['spread']:.0%}",
            figure("server_us", 2), figure("p50_us"), figure("p99_us"), figure("p999_us"),
            f"{figure('server_cores', 2)}/{figure('client_cores', 2)}",
            shown and f"{COMPARED[case.shown]}: {shown}")


def print_memory(case, results):
    for name, result in results.items():
        if case.kept:
            kinds = ", ".join(f"{kind} {result[kind]['median']:.1f}" for kind in KINDS)
            print(f"{case.name:<40} {name:<18} KiB: {kinds}"
                  f" (sum \u00b1{result['sum']['spread']:.0%})", flush=True)
            continue
        middle = {key: figure["median"] for key, figure in result.items()}
        print(f"{case.name:<40} {name:<18} KiB: before {middle['before']:.0f}, with"
              f" {middle['with']:.0f}, after {middle['after']:.0f}"
              f" ({middle['after_by_before']:.2f} x before, {middle['seconds']:.0f} s later)",
              flush=True)


def bulk_row(*cells):
    print("{:<14} {:<18} {:>8} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}".format(*cells),
          flush=True)


def print_bulk_heading():
    bulk_row("case", "server", "MiB/s", "\u00b1", "x floor", "CPU s/GiB", "x floor", "peak KiB",
             "KiB each", "cores s/c")


def print_bulk(case, results):
    for name, result in results.items():
        def figure(key, digits=0, result=result):
            return f"{result[key]['median']:.{digits}f}"

        def by_floor(key, name=name):
            found = ratios(results, name, key).get(case.floor)
            return f"{found['median']:.2f}" if found else "-"

        bulk_row(case.name, name, figure("mib_per_second"),
                 f"{result['mib_per_second']['spread']:.0%}", by_floor("mib_per_second"),
                 figure("server_s", 3), by_floor("server_s"), figure("peak_kib"),
                 figure("grown_kib_each"),
                 f"{figure('server_cores', 2)}/{figure('client_cores', 2)}")


def compression_row(*cells):
    print("{:<34} {:<27} {:>8} {:>8} {:>8} {:>5} {:>8} {:>6} {:>8} {:>8} {:>10}".format(*cells),
          flush=True)


def print_compression_heading():
    compression_row("case", "server", "per s", "x plain", "CPU us", "\u00b1", "x plain", "ratio",
                    "KiB", "p99 us", "cores s/c")


def print_compression(case, results):
    for name, result in results.items():
        def figure(key, digits=0, result=result):
            return f"{result[key]['median']:.{digits}f}" if key in result else "-"

        def by_plain(key, result=result):
            found = result["by_plain"][key]
            return f"{found['median']:.2f}" if found else "-"

        compression_row(case.name, name, figure("per_second"), by_plain("per_second"),
                        figure("server_us", 2), f"{result['server_us']['spread']:.0%}",
                        by_plain("server_us"), figure("ratio", 2), figure("kib", 1),
                        figure("p99_us"),
                        f"{figure('server_cores', 2)}/{figure('client_cores', 2)}")
