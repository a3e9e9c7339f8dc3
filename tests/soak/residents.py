# residents.py: clients that stay for a while: they talk, chat, carry big messages, ping,
# watch, read slowly or not at all. Each is called with an Until. Short visits are in
# visits.py.

import asyncio
import itertools
import random

import websockets

from session import session
from wire import DEADLINE, Failed, demand

MIB = 1 << 20


class Until:
    """The end of a client's stay."""

    def __init__(self, over, seconds):
        self._over = over  # an asyncio.Event: the soak's end
        self._end = asyncio.get_running_loop().time() + seconds

    @property
    def reached(self):
        return self._over.is_set() or asyncio.get_running_loop().time() >= self._end

    async def pause(self, seconds):
        """Sleeps; less if the soak ends meanwhile."""
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except asyncio.TimeoutError:
            pass


async def talk(demo, tally, until):
    async with session(demo, tally, "/echo") as client:
        while not until.reached:
            size = random.choice((0, 1, 20, 125, 126, 1000, 5000, 70000))
            await client.exchange(random.choice((random.randbytes(size), "ü" * (size // 2))))
            await until.pause(random.uniform(0, 0.2))
        await client.close()


async def carry(demo, tally, until):
    """Sends several MiB at a time."""
    async with session(demo, tally, "/echo") as client:
        while not until.reached:
            await client.exchange(random.randbytes(random.choice((1, 2, 4, 8)) * MIB - 17))
            await until.pause(random.uniform(0.5, 1))
        await client.close()


async def pipeline(demo, tally, until):
    """Sends a hundred messages before it reads the first answer."""
    async with session(demo, tally, "/echo") as client:
        while not until.reached:
            messages = [f"{random.getrandbits(32)} {i}" for i in range(100)]
            for message in messages:
                await client.send(message)
            for message in messages:
                demand(await client.receive() == message, "another message came back")
            await until.pause(1)
        await client.close()


async def ping(demo, tally, until):
    async with session(demo, tally, "/echo") as client:
        while not until.reached:
            await client.ping()
            await until.pause(0.1)
        await client.close()


async def watch(demo, tally, until):
    async with session(demo, tally, "/stats") as client:
        while not until.reached:
            await client.receive()
        await client.close()


async def listen(client, name):
    """Reads until name says bye. Each resident's words must all come, in order, behind their ids;
    those of visitors have no numbers, and the room's own have no spaces."""
    heard = {}
    while True:
        _, _, said = (await client.receive()).partition(" ")
        who, _, rest = said.partition(" ")
        if not who.startswith("resident-"):
            continue
        word = rest.partition(" ")[0]
        if word == "bye":
            if who == name:
                return
            continue
        demand(heard.get(who, int(word) - 1) == int(word) - 1, f"{word} follows {heard.get(who)}")
        heard[who] = int(word)


async def chat(demo, tally, until):
    name = f"resident-{random.getrandbits(64)}"
    async with session(demo, tally, "/chat") as client:
        listening = asyncio.ensure_future(listen(client, name))
        try:
            for number in itertools.count():
                if until.reached or listening.done():
                    break
                await client.send(f"{name} {number} " + "x" * random.randrange(1500))
                await until.pause(random.uniform(0, 0.5))
            await client.send(f"{name} bye")
            await asyncio.wait_for(listening, DEADLINE)
        finally:
            listening.cancel()
        await client.close()


async def read_slowly(demo, tally, until):
    """Sends all it can, and reads 16 KiB of the answers ten times a second. The server
    holds what it may and then stops reading; nothing is lost."""
    sent = asyncio.Queue()

    async def send(client):
        try:
            while not until.reached:
                message = random.randbytes(1 << 14)
                sent.put_nowait(message)
                await client.send(message)
        finally:
            sent.put_nowait(None)

    async with session(demo, tally, "/echo", slow=True) as client:
        sending = asyncio.ensure_future(send(client))
        try:
            while (message := await sent.get()) is not None:
                demand(await client.receive() == message, "another message came back")
                if not until.reached:
                    await until.pause(0.1)
            await sending
        finally:
            sending.cancel()
        await client.close()


async def stop_reading(demo, tally, until):
    """Stops reading and goes on sending until the server drops it: send_timeout_ms, 30 s."""
    async with session(demo, tally, "/echo", slow=True) as client:
        try:
            while True:
                await client.send(bytes(1 << 16), deadline=3 * DEADLINE)
        except websockets.ConnectionClosed:
            return
        except asyncio.TimeoutError:
            raise Failed("a client that does not read was not dropped") from None


async def sleep_in_the_chat(demo, tally, until):
    """A member that does not read. It may be dropped, and does not notice."""
    async with session(demo, tally, "/chat", slow=True):
        while not until.reached:
            await until.pause(1)


# How many of each a server has, and how many seconds each stays before it comes again.
RESIDENTS = [
    (talk, 5, (10, 60)),
    (chat, 5, (10, 60)),
    (carry, 2, (10, 60)),
    (pipeline, 1, (10, 60)),
    (ping, 2, (10, 60)),
    (watch, 2, (10, 60)),
    (read_slowly, 2, (15, 30)),
    (stop_reading, 2, (0, 0)),
    (sleep_in_the_chat, 1, (20, 60)),
]
