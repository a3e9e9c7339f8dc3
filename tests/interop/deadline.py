# How long the tests wait for a server to do something.

import asyncio

DEADLINE = 30  # seconds; reached only by a failure


async def within(awaitable):
    return await asyncio.wait_for(awaitable, DEADLINE)
