# servers.py: the servers that run.py compares: how each is started and stopped. A fresh
# process each time, on a processor of its own. What they are asked to do is up to run.py.

import collections
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

# Where the two sides of a case run: apart, or wherever the system wants them.
Processors = collections.namedtuple("Processors", "server client")
PINNED = Processors({1}, {0})
UNPINNED = Processors(os.sched_getaffinity(0), os.sched_getaffinity(0))
START_SECONDS = 10
BULK_FILE = "bulk.bin"  # in the build directory
ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / "bench" / "peers"

# options are the client's. command gets the build directory, request bytes, answer bytes and
# work; nginx has none. is_there gets the build directory and says whether the server is built
# or installed. Another server is one more line here; see its command line in work.h.
Server = collections.namedtuple("Server", "name options command is_there")


def floor(name, program):
    """Bare TCP: it knows no messages, so it cannot send one to all."""
    def command(build, request, answer, work):
        return [f"{build}/{program}", str(request), str(answer), str(blocks_ms(work))]
    return Server(name, ["--raw"], command, built(program))


def fan_out_floor(name, program):
    """It knows messages, but only of the sizes it is told."""
    def command(build, request, answer, _work):
        return [f"{build}/{program}", str(request), str(answer)]
    return Server(name, [], command, built(program))


def libwebsock(name, options, arguments, **instead):
    """instead: the words by which the server does that work, where they are not the work's."""
    def command(build, _request, _answer, work):
        done = instead.get(work, work)
        return [f"{build}/echo_server", done, *arguments(build)]
    return Server(name, options, command, built("echo_server"))


def libwebsock_cxx(name, **instead):
    """libwebsock by way of websock.hpp."""
    def command(build, _request, _answer, work):
        return [f"{build}/echo_server_cxx", instead.get(work, work)]
    return Server(name, [], command, built("echo_server_cxx"))


def libwebsock_locks(name):
    """It prints what it counted when it ends; see lock_count.cpp."""
    def command(build, _request, _answer, work):
        return [f"{build}/echo_server_locks", work]
    return Server(name, [], command, built("echo_server_locks"))


def bulk_floor(name, what):
    def command(build, _request, _answer, _work):
        return [f"{build}/bulk_floor", what, f"{build}/{BULK_FILE}"]
    return Server(name, ["--raw"], command, built("bulk_floor"))


def bulk(name, style):
    """libwebsock with large messages; styles are in bulk_server.c."""
    def command(build, _request, _answer, _work):
        return [f"{build}/bulk_server", style, f"{build}/{BULK_FILE}"]
    return Server(name, [], command, built("bulk_server"))


def peer(name, program):
    def command(build, _request, _answer, work):
        return [f"{build}/peers/{program}", work]
    return Server(name, [], command, built(f"peers/{program}"))


def peer_with_tls(name, program):
    def command(build, _request, _answer, work):
        return [f"{build}/peers/{program}", work, *certificate(build)]
    return Server(name, ["--tls"], command, built(f"peers/{program}"))


def node_command(_build, _request, _answer, work):
    return ["node", str(PEERS / "node_ws.js"), work]


def built(program):
    return lambda build: pathlib.Path(build, program).exists()


def node_has_ws(_build):
    if not shutil.which("node"):
        return False
    if pathlib.Path("/usr/share/nodejs/ws").exists():  # Debian's, which node_ws.js finds too
        return True
    return subprocess.run(["node", "-e", "require('ws')"], cwd=PEERS, check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


def blocks_ms(work):
    kind, _, milliseconds = work.partition("=")
    return int(milliseconds) if kind == "block" else 0


SERVERS = {server.name: server for server in (
    floor("thread floor", "thread_floor"),
    floor("epoll floor", "epoll_floor"),
    libwebsock("libwebsock", [], lambda _: ()),
    fan_out_floor("fan-out floor", "fanout_floor"),
    libwebsock("libwebsock topics", [], lambda _: (), fanout="topics"),
    libwebsock("libwebsock session", [], lambda _: (), echo="session"),
    libwebsock_cxx("libwebsock C++"),
    libwebsock("libwebsock TLS", ["--tls"], lambda build: certificate(build)),
    bulk_floor("upload floor", "upload"),
    bulk_floor("download floor", "download"),
    bulk("onpart", "parts"),
    bulk("onpart, slow", "slow_parts"),
    bulk("receive_part", "part_session"),
    bulk("send_file", "file"),
    bulk("send_file, session", "file_session"),
    libwebsock_locks("libwebsock, locks counted"),
    peer("Go gorilla", "gorilla"),
    peer_with_tls("Go TLS", "gorilla"),
    peer("libwebsockets", "libwebsockets"),
    peer_with_tls("libwebsockets TLS", "libwebsockets"),
    peer("Beast sync", "beast_sync"),
    peer("Beast async", "beast_async"),
    peer("websocketpp", "websocketpp"),
    Server("node ws", [], node_command, node_has_ws),
)}
# Only does handshakes.
NGINX = Server("nginx TLS", ["--tls"], None, lambda _: nginx_program() is not None)


# Answers every request as exchange.cpp's handshake must be answered, then closes.
NGINX_CONFIG = """\
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate_key {key};
        ssl_certificate {certificate};
        ssl_protocols TLSv1.3;
        ssl_session_tickets on;
        location / {{
            add_header Upgrade websocket always;
            add_header Sec-WebSocket-Accept s3pPLMBiTxaQ9kYGzzhZRbK+xOo= always;
            return 101;
        }}
    }}
}}
"""


def frame_sizes(payload):
    """Bytes of a client's frame and of the server's (RFC 6455 5.2)."""
    answer = payload + (2 if payload <= 125 else 4 if payload <= 0xFFFF else 10)
    return answer + 4, answer


def settle_in(cpus, nice):
    os.sched_setaffinity(0, cpus)
    if not nice:
        return
    os.nice(nice)
    # Where the scheduler groups by session, nice alone counts only within our own.
    try:
        os.setsid()
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        pass


def certificate(build):
    """A key (EC P-256) and its certificate as files, shared by all servers."""
    key, cert = (str(pathlib.Path(build).resolve() / f"bench.{end}") for end in ("key", "crt"))
    subprocess.run(["sh", ROOT / "demo" / "certificate.sh", key, cert], check=True)
    return key, cert


class Running:
    """A server process, from its "port N" line on."""

    def __init__(self, server, build, payload, work, cpus, nice):
        self.options = server.options
        command = server.command(build, *frame_sizes(payload), work)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=lambda: settle_in(cpus, nice))
        words = self.process.stdout.readline().split()
        if len(words) != 2 or words[0] != "port":
            raise RuntimeError(f"{command[0]} did not say its port")
        self.port = words[1]
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            print("  (a server did not end within 30 s of SIGTERM)", file=sys.stderr)


class RunningNginx(Running):
    """nginx: a master, which does nothing and is not measured, and one worker."""

    def __init__(self, server, build, cpus, nice):  # pylint: disable=super-init-not-called
        self.options = server.options
        directory = pathlib.Path(build).resolve() / "nginx"
        directory.mkdir(exist_ok=True)
        key, cert = certificate(build)
        self.port = str(free_port())
        config = directory / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(dir=directory, port=self.port, key=key,
                                              certificate=cert), encoding="utf-8")
        self.process = subprocess.Popen(
            [nginx_program(), "-p", directory, "-c", config, "-e", directory / "error.log"],
            preexec_fn=lambda: settle_in(cpus, nice))
        self.pid = self.worker()

    def worker(self):
        """The worker's pid. The master listens before its worker exists."""
        deadline = time.monotonic() + START_SECONDS
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        while time.monotonic() < deadline and self.process.poll() is None:
            pids = pathlib.Path(children).read_text(encoding="ascii").split()
            if pids:
                return int(pids[0])
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()
        raise RuntimeError("nginx has not started")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def nginx_program():
    """None if there is no nginx. Debian installs it outside users' PATH; deps.sh puts it in
    build/ without installing it."""
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin:" +
                        str(ROOT / "build"))


def processors_of(case):
    return PINNED if case.pinned else UNPINNED


def start(server, args, payload=20, work="echo", processors=PINNED):
    """work is what the server is to do: echo, fanout or block=MS."""
    if server.name == NGINX.name:
        return RunningNginx(server, args.build, processors.server, args.nice)
    return Running(server, args.build, payload, work, processors.server, args.nice)


def client_command(build, program, running, *options):
    return [f"{build}/{program}", "--port", running.port, "--server-pid", str(running.pid),
            *map(str, options), *running.options]
