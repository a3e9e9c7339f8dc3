# population.py: all clients of a soak, on both demos: residents that stay and come again,
# visitors one after another, and those that only try the server's patience. A client that does
# not get what it must is an error.

import asyncio
import itertools
import logging
import random

from residents import RESIDENTS, Until, stop_reading
from visits import LONG_VISITS, VISITS

VISITORS = 3  # at a time, on each demo
RELOAD_SECONDS = 5  # between two SIGHUPs
LEAVE_SECONDS = 60  # for residents to say goodbye

# Clients that the server drops in its own time: not waited for at the end.
PATIENT = (stop_reading, *LONG_VISITS)


class Population:
    def __init__(self, demos, tally):
        # Broken connections are intended here; asyncio would log each.
        for name in ("asyncio", "websockets"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._tally = tally
        self._over = asyncio.Event()
        self._patient = []
        self._others = []
        for demo in demos:
            for act, count, stay in RESIDENTS:
                for _ in range(count):
                    self._begin(act, self._reside(demo, act, stay))
            for i in range(VISITORS):
                self._begin(None, self._visit(demo, VISITS[i:] + VISITS[:i]))
            for act in LONG_VISITS:
                self._begin(act, self._visit(demo, [act]))
            if demo.tls:
                self._begin(None, self._reload(demo))

    async def leave(self):
        self._over.set()
        for task in self._patient:
            task.cancel()
        _, late = await asyncio.wait(self._others, timeout=LEAVE_SECONDS)
        for task in late:
            self._tally.error(f"{task.get_name()} has not ended")
            task.cancel()
        await asyncio.gather(*self._patient, *self._others, return_exceptions=True)

    def _begin(self, act, coroutine):
        name = act.__name__ if act else coroutine.__name__
        tasks = self._patient if act in PATIENT else self._others
        tasks.append(asyncio.create_task(coroutine, name=name))

    async def _reside(self, demo, act, stay):
        while not self._over.is_set():
            until = Until(self._over, random.uniform(*stay))
            await self._do(demo, act, until)

    async def _visit(self, demo, acts):
        for act in itertools.cycle(acts):
            if self._over.is_set():
                return
            await self._do(demo, act)
            await self._pause(random.uniform(0.05, 0.25))

    async def _do(self, demo, act, *arguments):
        """One connection of one client."""
        self._tally.connections += 1
        try:
            await act(demo, self._tally, *arguments)
        except Exception as error:
            self._tally.error(f"{demo.name}: {act.__name__}: {error!r}")
            await self._pause(1)
        else:
            self._tally.done[act.__name__] += 1

    async def _reload(self, demo):
        while not self._over.is_set():
            await self._pause(RELOAD_SECONDS)
            demo.reload()
            self._tally.done["reload"] += 1

    async def _pause(self, seconds):
        await Until(self._over, seconds).pause(seconds)
