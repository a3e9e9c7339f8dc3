# visits.py: clients that come, do one thing and go: politely, abruptly or against the rules;
# and what the server must then do. Those that stay are in residents.py.

import asyncio
import json
import random

from session import session
from wire import BINARY, TEXT, connected, demand, frame, upgraded


async def close_politely(demo, tally):
    async with session(demo, tally, "/echo") as client:
        await client.exchange("one echo")
        await client.close()
        demand(client.close_code == 1000, f"closed with {client.close_code}")


async def reset_after_an_echo(demo, tally):
    async with upgraded(demo) as wire:
        await wire.echo(b"one echo")
        wire.reset()


async def reset_at_once(demo, tally):
    async with connected(demo, tls=False) as wire:
        wire.reset()


async def reset_with_an_echo_on_its_way(demo, tally):
    async with upgraded(demo) as wire:
        await wire.send(frame(BINARY, bytes(1 << 20)))
        wire.reset()


async def vanish_in_mid_handshake(demo, tally):
    async with connected(demo) as wire:
        await wire.send(b"GET /echo HTTP/1.1\r\nHost: local")


async def vanish_in_mid_tls_handshake(demo, tally):
    async with connected(demo, tls=False) as wire:
        await wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


async def end_sending_in_mid_frame(demo, tally):
    async with upgraded(demo) as wire:
        await wire.echo(b"one echo")
        await wire.send(frame(BINARY, bytes(100), announced=1000))
        wire.end_sending()
        await wire.read_to_end()


async def refused_frame(demo, data, code):
    async with upgraded(demo) as wire:
        await wire.send(data)
        said = await wire.close_code()
        demand(said == code, f"closed with {said} instead of {code}")
        await wire.read_to_end()


async def send_unmasked(demo, tally):
    await refused_frame(demo, frame(TEXT, b"unmasked", masked=False), 1002)


async def send_bad_utf8(demo, tally):
    await refused_frame(demo, frame(TEXT, b"\xc0\xaf"), 1007)


async def announce_too_much(demo, tally):
    await refused_frame(demo, frame(BINARY, announced=1 << 40), 1009)


async def talk_nonsense(demo, tally):
    """Sends plain text even to a TLS port; there the answer may be an alert."""
    async with connected(demo, tls=False) as wire:
        await wire.send(bytes(random.randrange(128, 256) for _ in range(64)) + b"\r\n\r\n")
        answer = await wire.read_to_end()
        demand(demo.tls or answer.startswith(b"HTTP/1.1 400 "), f"answered by {answer[:60]!r}")


async def request(demo, line, expected):
    async with connected(demo) as wire:
        await wire.send(line.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status = await wire.status()
        demand(status == expected, f"{line}: {status}")


async def read_the_page(demo, tally):
    await request(demo, "GET /", 200)


async def read_health(demo, tally):
    await request(demo, "GET /health", 200)


async def read_metrics(demo, tally):
    await request(demo, "GET /metrics", 200)


async def ask_for_what_is_refused(demo, tally):
    line, status = random.choice([("GET /nothing", 404), ("POST /", 405), ("GET /echo", 426)])
    await request(demo, line, status)


async def plain_http(demo, tally):
    """An error on a TLS port."""
    async with connected(demo, tls=False) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status = await wire.status()
        demand(status == (400 if demo.tls else 200), f"plain HTTP: {status}")


async def look_at_the_stats(demo, tally):
    async with session(demo, tally, "/stats") as client:
        for _ in range(2):
            json.loads(await client.receive())
        await client.close()


async def look_into_the_chat(demo, tally):
    async with session(demo, tally, "/chat") as client:
        text = f"passing by, {random.getrandbits(64)}"
        await client.send(text)
        while not (await client.receive()).endswith(text):
            pass
        await client.close()


async def send_fragments_and_pings(demo, tally):
    async with session(demo, tally, "/echo") as client:
        pieces = [f"piece {i} " for i in range(20)]
        await client.send_fragments(pieces, between=client.ping)
        demand(await client.receive() == "".join(pieces), "other fragments came back")
        await client.close()


# One after another, for the length of the soak.
VISITS = [
    close_politely, reset_after_an_echo, read_the_page, send_unmasked, reset_at_once,
    close_politely, vanish_in_mid_handshake, read_health, end_sending_in_mid_frame,
    look_into_the_chat, send_bad_utf8, read_metrics, vanish_in_mid_tls_handshake,
    close_politely, announce_too_much, send_fragments_and_pings, ask_for_what_is_refused,
    talk_nonsense, reset_with_an_echo_on_its_way, plain_http, look_at_the_stats,
]


async def say_nothing(demo, tally):
    """Waits until the server drops it: handshake_timeout_ms, 10 s."""
    async with connected(demo, tls=False) as wire:
        await wire.read_to_end()


async def ask_slowly(demo, tally):
    """Sends a byte a second, but stops before the server's patience ends: sending to a closed
    connection may cost the client the answer."""
    async with connected(demo) as wire:
        for byte in b"GET /":
            await wire.send(bytes([byte]))
            await asyncio.sleep(1)
        status = await wire.status()
        demand(status == 408, f"a slow request: {status}")


# These take as long as the server's timeout, so they have clients of their own.
LONG_VISITS = [say_nothing, ask_slowly]
