#!/usr/bin/python3 -B
# The demo's page as a person uses it, in Chromium. Leaves a picture of it in
# demo-page.png in the build directory.

import io
import unittest

from PIL import Image

import certificates
import demo_server
from chromium import HEIGHT, WIDTH, Chromium, DevTools
from over_tls import TLS_1_3, over_tls

CHART_COLORS = """(() => {
    const canvas = document.querySelector('#rtt-chart');
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(pixels.data.buffer)).size;
})()"""
# The room tells everybody who has come in, which is later than the handshake.
ENTERED = "document.querySelector('#chat-people').textContent !== ''"


def says(selector, text):
    return f"document.querySelector('{selector}')?.textContent.includes('{text}')"


def setUpModule():
    global chromium
    trusted_key = certificates.public_key_hash(certificates.server())
    chromium = unittest.enterModuleContext(Chromium(trusted_key))


class Case(unittest.IsolatedAsyncioTestCase):
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.demo = self.enterContext(demo_server.DemoServer(certificate=certificate))
        self.pages = []

    async def asyncSetUp(self):
        self.devtools = await self.enterAsyncContext(DevTools(chromium.devtools_url))

    async def asyncTearDown(self):
        for page in self.pages:
            self.assertEqual(page.problems, [])

    async def open_page(self):
        page = await self.devtools.open_page(self.demo.origin + "/")
        self.pages.append(page)
        for panel in ("chat", "echo", "stats"):
            await page.until(f"document.querySelector('#{panel}-status')?.dataset.state === 'open'")
        await page.until(ENTERED)
        return page

    async def say(self, page, name, text):
        await page.fill_in("#chat-name", name)
        await page.fill_in("#chat-input", text)
        await page.click("#chat-send")


class TalkTest(Case):
    async def test_two_pages_chat_with_each_other(self):
        alice, bob = await self.open_page(), await self.open_page()
        await self.say(alice, "Alice", "Hello Bob, grüße 🦆")
        for page in (alice, bob):
            await page.until(says("#chat-log", "Hello Bob, grüße 🦆"))
        await self.say(bob, "Bob", "Hello Alice")
        for page in (alice, bob):
            await page.until(says("#chat-log", "Hello Alice"))
        self.assertTrue(await alice.value(says("#chat-log", "Bob")))

    async def test_what_is_sent_to_the_echo_comes_back_into_the_log(self):
        page = await self.open_page()
        await page.fill_in("#echo-input", "anybody there?")
        await page.press_enter()
        await page.until("document.querySelector('#echo-log').textContent"
                         ".split('anybody there?').length - 1 === 2")

    async def test_the_statistics_count_the_page_s_own_connections_and_messages(self):
        page = await self.open_page()
        await page.until("document.querySelector('#stats-connections').textContent === '3'")
        await page.click("#echo-run")
        await page.until("parseFloat(document.querySelector('#stats-messages-in').textContent) > 0")

    async def test_the_page_says_so_when_the_server_is_gone(self):
        page = await self.open_page()
        self.demo.stop()
        for panel in ("chat", "echo", "stats"):
            await page.until(f"document.querySelector('#{panel}-status').dataset.state !== 'open'")
        await page.until("document.querySelector('#chat-send').disabled")
        self.pages.remove(page)  # Chromium reports the attempts to connect again as errors


class ShowTest(Case):
    async def test_markup_in_a_chat_message_is_shown_and_not_interpreted(self):
        alice, bob = await self.open_page(), await self.open_page()
        await self.say(alice, "<b>Mallory", "<img src=x onerror=alert(1)>")
        await bob.until(says("#chat-log", "<img src=x onerror=alert(1)>"))
        self.assertEqual(await bob.value("document.querySelectorAll('#chat-log img').length"), 0)

    async def test_the_round_trips_are_measured_and_drawn_until_they_are_stopped(self):
        page = await self.open_page()
        empty_chart = await page.value("document.querySelector('#rtt-chart').toDataURL()")
        await page.click("#echo-run")
        await page.until("parseFloat(document.querySelector('#echo-rtt').textContent) > 0")
        self.assertGreater(await page.value(CHART_COLORS), 10)
        self.assertNotEqual(await page.value("document.querySelector('#rtt-chart').toDataURL()"),
                            empty_chart)
        await page.click("#echo-run")
        await page.until("document.querySelector('#echo-run').ariaPressed === 'false'")

    async def test_a_busy_page_is_drawn(self):
        page, other = await self.open_page(), await self.open_page()
        await self.say(other, "Bob", "Is anybody here?")
        await page.until(says("#chat-log", "Is anybody here?"))
        await self.say(page, "Alice", "Yes, in the other window.")
        await page.fill_in("#echo-input", "hello")
        await page.press_enter()
        await page.click("#echo-run")
        await page.until("parseFloat(document.querySelector('#stats-messages-in').textContent) > 0")
        png = await page.screenshot()
        (demo_server.BUILD / "demo-page.png").write_bytes(png)
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        self.assertEqual(picture.size, (WIDTH, HEIGHT))
        self.assertGreater(len(picture.getcolors(WIDTH * HEIGHT)), 200)


over_tls(globals(), TalkTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
