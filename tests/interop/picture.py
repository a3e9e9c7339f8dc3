#!/usr/bin/python3 -B
# The demo's page at its busiest, as a picture. What the README shows is made by
#   make && /usr/bin/python3 -B tests/interop/picture.py demo/page.png
# on a machine that does nothing else; chromium_test.py takes one in less time.

import asyncio
import pathlib
import sys

import certificates
import demo_server
from chromium import Chromium, DevTools

HISTORY = 45  # seconds of figures, for README's picture


async def say(page, name, text):
    await page.fill_in("#chat-name", name)
    await page.fill_in("#chat-input", text)
    await page.click("#chat-send")


async def take(page, other, history):
    """PNG of page: light, two people in the chat, the echo running, and 100 callbacks and a
    slow reader that hold up neither. Both pages are open and in the chat."""
    await page.prefer("light")
    await say(other, "Bob", "100 callbacks are asleep, and one waits for my slow reader.")
    await say(page, "Alice", "And we can still chat.")
    await other.until("document.querySelector('#chat-log').childElementCount >= 2")
    await page.until(f"Number(document.querySelector('#stats-uptime').dataset.value) >= {history}")
    await page.click("#slow-run")
    await page.until("Number(document.querySelector('#slow-state').dataset.waited) >= 1")
    await page.click("#block-many")
    await page.until("document.querySelector('#stats-blocked').textContent === '100 asleep'")
    await page.value("document.activeElement.blur()")
    return await page.screenshot()


async def main(file):
    trusted_key = certificates.public_key_hash(certificates.server())
    with Chromium(trusted_key) as chromium, demo_server.DemoServer() as demo:
        async with DevTools(chromium.devtools_url) as devtools:
            pages = [await devtools.open_page(demo.origin + "/") for _ in range(2)]
            for page in pages:
                await page.until("document.querySelector('#chat-people')?.textContent === '2 here'")
            await pages[1].click("#echo-run")  # one ping-pong is enough
            # Waited for in steps, since each step may take no longer than a failure's deadline.
            for seconds in range(10, HISTORY, 10):
                await pages[0].until("Number(document.querySelector('#stats-uptime')"
                                     f".dataset.value) >= {seconds}")
            pathlib.Path(file).write_bytes(await take(*pages, HISTORY))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
