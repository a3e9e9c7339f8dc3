#!/usr/bin/python3 -B
# The demo's page as a person uses it, in Chromium. Leaves a picture of it in
# demo-page.png in the build directory.

import asyncio
import hashlib
import io
import os
import socket
import tempfile
import unittest

from PIL import Image

import certificates
import demo_server
import picture
from chromium import HEIGHT, NOT_SECURE, WIDTH, Chromium, DevTools
from deadline import DEADLINE
from echo_lengths import echo_lengths
from over_tls import TLS_1_3, over_tls
from raw_socket import BINARY, TEXT, UPGRADE, frame, request

FITS = "document.documentElement.scrollWidth === document.documentElement.clientWidth"
CHART = "document.querySelector('#rtt-chart').toDataURL()"
OPACITY = "getComputedStyle(document.querySelector('#stats-figures')).opacity"
CHART_COLORS = """(() => {
    const canvas = document.querySelector('#rtt-chart');
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(pixels.data.buffer)).size;
})()"""
# The room tells everybody who has come in, which is later than the handshake.
ENTERED = "document.querySelector('#chat-people').textContent !== ''"


SAID = "[...document.querySelectorAll('#chat-log .say')].map((line) => line.innerText)"
# cutChat() cuts the connection of the chat off; while refuse is set, each new one is, too.
SOCKETS = """(() => {
    const Real = WebSocket;
    const chats = [];
    window.refuse = false;
    window.cutChat = () => chats.filter((socket) => socket.readyState === Real.OPEN)
        .map((socket) => socket.close()).length;
    window.WebSocket = class extends Real {
        constructor(url, protocols) {
            super(url, protocols);
            if (url.includes("/chat")) {
                chats.push(this);
                if (window.refuse) {
                    this.close();
                }
            }
        }
    };
})()"""
ROUND_TRIPS = "Number(document.querySelector('#echo-count').textContent.replaceAll(',', ''))"
BLOCKED = "document.querySelector('#block-state').dataset.blocked"
WORKERS_BUSY = "Number(document.querySelector('#stats-workers').dataset.value)"
WAITED = "Number(document.querySelector('#slow-state').dataset.waited)"  # seconds
PRICE_RATE = "Number(document.querySelector('#prices-rate').textContent.replaceAll(',', ''))"
ASLEEP = "Number(document.querySelector('#prices-state').dataset.asleep)"  # seconds
# Every state of the page's two bars, and of what the server and the browser say meanwhile; and the
# bytes of each file that the page offers to save.
BARS = """(() => {
    window.bars = {"transfer-up": [], "transfer-back": [], left: []};
    window.saved = [];
    const note = () => {
        for (const id of ["transfer-up", "transfer-back"]) {
            window.bars[id].push(document.getElementById(id).value);
        }
        window.bars.left.push(document.querySelector("#transfer-state").textContent);
    };
    addEventListener("DOMContentLoaded", () => new MutationObserver(note).observe(
        document.querySelector(".transfer"),
        {attributes: true, characterData: true, childList: true, subtree: true}));
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
        window.saved.push(blob);
        return make(blob);
    };
})()"""
SAVED_HASH = """(async () => {
    const bytes = await window.saved.at(-1).arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
})()"""
SLOW_READER_RUNS = "document.querySelector('#slow-state').classList.contains('running')"


def says(selector, text):
    return f"document.querySelector('{selector}')?.textContent.includes('{text}')"


def stale(selector):
    return f"document.querySelector('{selector}').classList.contains('stale')"


def setUpModule():
    global chromium
    trusted_key = certificates.public_key_hash(certificates.server())
    chromium = unittest.enterModuleContext(Chromium(trusted_key))


class Case(unittest.IsolatedAsyncioTestCase):
    tls_version = None
    options = ()

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.demo = self.enterContext(demo_server.DemoServer(*self.options, certificate=certificate))
        self.pages = []

    async def asyncSetUp(self):
        # unittest turns on asyncio's debug mode, which is slow.
        asyncio.get_running_loop().set_debug(False)
        self.devtools = await self.enterAsyncContext(DevTools(chromium.devtools_url))

    async def asyncTearDown(self):
        for page in self.pages:
            self.assertEqual(page.problems, [])

    async def open_page(self, origin=None, fragment="", script=""):
        page = await self.devtools.open_page((origin or self.demo.origin) + "/" + fragment, script)
        self.pages.append(page)
        for panel in ("chat", "echo", "prices", "stats"):
            await page.until(f"document.querySelector('#{panel}-status')?.dataset.state === 'open'")
        await page.until(ENTERED)
        return page

    say = staticmethod(picture.say)

    async def talks_on(self, page, condition):
        """The echo has made more round trips and the chat has got a message of page's, and
        condition still holds: looked at in one moment."""
        before = await page.value(ROUND_TRIPS)
        await page.value("""(() => {
            document.querySelector('#chat-input').value = 'still here';
            document.querySelector('#chat-form').requestSubmit();
        })()""")
        await page.until(f"{condition} && {ROUND_TRIPS} > {before + 10} && "
                         f"{says('#chat-log', 'still here')}")

    def occupy(self, path, count, behind, greeting):
        """Makes count connections to path that send what is behind and do not read after the
        server's greeting."""
        connections = [self.enterContext(socket.create_connection(
            (self.demo.host, self.demo.port), DEADLINE)) for _ in range(count)]
        for connection in connections:
            connection.sendall(request(path, headers=UPGRADE) + behind)
        for connection in connections:
            data = b""
            while greeting not in data:
                data += (piece := connection.recv(1024))
                self.assertTrue(piece, data)


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

    async def test_who_comes_later_sees_what_was_said_before_in_the_same_room_only(self):
        alice, bob = await self.open_page(), await self.open_page(fragment="#chess")
        self.assertTrue(await bob.value(says("#chat-title", "Chat: chess")))
        await self.say(bob, "Bob", "check")
        await bob.until(says("#chat-log", "check"))
        await self.say(alice, "Alice", "hello")
        await alice.until(says("#chat-log", "hello"))
        for fragment, expected in (("", ["hello"]), ("#chess", ["check"])):
            page = await self.open_page(fragment=fragment)
            await page.until(says("#chat-log", expected[0]))
            self.assertEqual([said.split("\n")[-1] for said in await page.value(SAID)], expected)

    async def test_a_connection_lost_leaves_no_gap_and_doubles_nothing(self):
        alice, bob = await self.open_page(), await self.open_page(script=SOCKETS)
        await self.say(alice, "Alice", "before")
        await bob.until(says("#chat-log", "before"))
        await bob.value("window.refuse = true")
        self.assertEqual(await bob.value("window.cutChat()"), 1)
        await bob.until("document.querySelector('#chat-status').dataset.state !== 'open'")
        for i in range(25):  # more than a newcomer would get
            await alice.fill_in("#chat-input", f"meanwhile {i}")
            await alice.press_enter()
        await alice.until(says("#chat-log", "meanwhile 24"))
        await bob.value("window.refuse = false")
        await bob.until(says("#chat-log", "meanwhile 24"))
        self.assertEqual([said.split("\n")[-1] for said in await bob.value(SAID)],
                         ["before", *(f"meanwhile {i}" for i in range(25))])
        self.assertTrue(await bob.value(says("#chat-log", "Connected again")))
        self.assertFalse(await bob.value(says("#chat-log", "are lost")))
        self.pages.remove(bob)  # Chromium reports the connections that it has refused as errors

    async def test_what_is_sent_to_the_echo_comes_back_into_the_log(self):
        page = await self.open_page()
        await page.fill_in("#echo-input", "anybody there?")
        await page.press_enter()
        await page.until("document.querySelector('#echo-log').textContent"
                         ".split('anybody there?').length - 1 === 2")

    async def test_the_statistics_count_the_page_s_own_connections_and_messages(self):
        page = await self.open_page()
        await page.until("document.querySelector('#stats-connections').textContent === '4'")
        await page.until("parseFloat(document.querySelector('#stats-messages-in').textContent) > 0")

    async def test_the_page_says_so_when_the_server_is_gone_and_when_it_is_back(self):
        page = await self.open_page()
        await page.until("document.querySelector('#stats-connections').textContent === '4'")
        self.assertFalse(await page.value(f"{stale('#stats-figures')} || {stale('#echo-figures')}"))
        self.demo.stop()
        for panel in ("chat", "echo", "prices", "stats"):
            await page.until(f"document.querySelector('#{panel}-status').dataset.state !== 'open'")
        await page.until("document.querySelector('#chat-send').disabled")
        await page.until(f"{stale('#stats-figures')} && {stale('#echo-figures')}")
        await page.until(says("#stats-note", "connection lost, figures as of"))
        await page.until(says("#spoken", "The connection to the server is lost"))
        self.assertEqual(await page.value(OPACITY), "0.45")

        certificate = certificates.server() if self.tls_version else None
        self.enterContext(demo_server.DemoServer("--port", self.demo.port, certificate=certificate))
        await page.until(f"!{stale('#stats-figures')} && !{stale('#echo-figures')}")
        await page.until(says("#stats-note", "all clients"))
        await page.until(f"{says('#spoken', 'Connected again')} && {ROUND_TRIPS} > 0")
        self.pages.remove(page)  # Chromium reports the attempts to connect again as errors


class CompressionTest(Case):
    async def test_it_is_negotiated_and_messages_up_to_1_mib_come_back(self):
        page = await self.open_page()
        extensions, different, count, *code = await page.value(echo_lengths(self.demo.url("/echo")))
        self.assertRegex(extensions, r"^permessage-deflate; client_max_window_bits=\d+$")
        self.assertEqual((different, code), ([], []))
        self.assertGreater(count, 80)


class ShowTest(Case):
    async def test_markup_in_a_chat_message_is_shown_and_not_interpreted(self):
        alice, bob = await self.open_page(), await self.open_page()
        await self.say(alice, "<b>Mallory", "<img src=x onerror=alert(1)>")
        await bob.until(says("#chat-log", "<img src=x onerror=alert(1)>"))
        self.assertEqual(await bob.value("document.querySelectorAll('#chat-log img').length"), 0)

    async def test_the_round_trips_are_measured_and_drawn_until_they_are_stopped(self):
        page = await self.open_page()
        await page.until("parseFloat(document.querySelector('#echo-rtt').textContent) > 0")
        self.assertGreater(await page.value(CHART_COLORS), 10)
        await page.click("#echo-run")
        await page.until(says("#echo-run", "Start ping-pong"))
        await page.until(says("#echo-log", "ping-pong stopped"))
        chart = await page.value(CHART)
        await page.fill_in("#echo-input", "one more")  # behind the last of the ping-pong
        await page.press_enter()
        await page.until(f"{CHART} !== '{chart}'")
        count = await page.value(ROUND_TRIPS)
        await page.click("#echo-run")
        await page.until(f"{ROUND_TRIPS} > {count + 1}")

    async def test_a_busy_page_is_drawn(self):
        page, other = await self.open_page(), await self.open_page()
        png = await picture.take(page, other, history=1)
        (demo_server.BUILD / "demo-page.png").write_bytes(png)
        image = Image.open(io.BytesIO(png)).convert("RGB")
        self.assertEqual(image.size, (WIDTH, HEIGHT))
        self.assertGreater(len(image.getcolors(WIDTH * HEIGHT)), 200)

    async def test_it_fits_its_window_and_on_a_phone_the_figures_come_first(self):
        page = await self.open_page()
        for scheme in ("light", "dark"):
            await page.prefer(scheme)
            for width in (WIDTH, 820, 480, 390, 320):
                await page.resize(width, HEIGHT)
                with self.subTest(scheme=scheme, width=width):
                    tops = await page.value("""[...document.querySelectorAll('section')]
                        .map((section) => section.getBoundingClientRect().top)""")
                    self.assertTrue(await page.value(FITS))
                    self.assertEqual(tops, sorted(tops))
                    self.assertEqual(len(tops), 6)

    async def test_everything_can_be_reached_with_the_tab_key_and_shows_that(self):
        page = await self.open_page()
        reached = []
        while (name := await self.next_by_tab(page)) not in reached:
            reached.append(name)
        controls = await page.value("""[...document.querySelectorAll('a, button, input, select')]
            .filter((element) => element.closest('[hidden]') === null)
            .map((element) => element.id || element.pathname)""")
        self.assertEqual([name for name in reached if name in controls], controls)

    async def next_by_tab(self, page):
        await page.press_tab()
        name, outline = await page.value("""(() => {
            const element = document.activeElement;
            return [element.id || element.pathname || '', getComputedStyle(element).outlineStyle];
        })()""")
        self.assertTrue(name == "" or outline == "solid", f"{name}: {outline}")
        return name


class BlockTest(Case):
    async def block(self, button, count):
        page = await self.open_page()
        await page.click(button)
        await page.until(f"{BLOCKED} === '{count}'")
        await self.talks_on(page, f"{BLOCKED} === '{count}'")
        await page.until(f"{WORKERS_BUSY} >= {count}")
        await page.until(says("#block-state", f"{count} callback{'s' * (count > 1)} slept for 3 s"))
        self.assertTrue(await page.value(says("#block-state", "Echo meanwhile")))
        self.assertTrue(await page.value(says("#spoken", "slept for 3 s")))
        await page.until(f"document.querySelector('{button}').ariaDisabled === 'false'")
        await page.until("document.querySelector('#stats-connections').textContent === '4'")

    async def test_a_callback_that_blocks_holds_nobody_up(self):
        await self.block("#block-one", 1)

    async def test_nor_do_a_hundred_at_the_same_time(self):
        await self.block("#block-many", 100)

    async def test_the_page_says_what_the_server_refused(self):
        page = await self.open_page()
        self.occupy("/block", 256, frame(TEXT, b"block"), b"blocked")
        await page.click("#block-one")
        await page.until(says("#block-state",
                              "The server refused 1: 256 callbacks are blocked already."))


class SlowReaderTest(Case):
    async def start(self, page):
        await page.click("#slow-run")
        await page.until(f"{WAITED} >= 1")
        await self.talks_on(page, SLOW_READER_RUNS)

    async def test_it_holds_nobody_up_and_may_read_on(self):
        page = await self.open_page()
        await self.start(page)
        await page.click("#slow-run")
        await page.until(says("#slow-state", "All 64 MiB are read now."))
        self.assertTrue(await page.value(says("#slow-run", "Be a slow reader")))

    async def test_without_shared_memory_it_keeps_a_processor_busy_until_it_is_stopped(self):
        page = await self.open_page(f"http://{NOT_SECURE}:{self.demo.port}")
        self.assertFalse(await page.value("crossOriginIsolated"))
        await self.start(page)
        await page.click("#slow-run")
        await page.until(says("#slow-state", "Stopped. The server had sent"))
        await page.click("#prices-slow")  # which ends by itself there
        await page.until(says("#prices-state", "were replaced by newer ones"))
        await page.until("document.querySelector('#stats-connections').textContent === '4'")
        self.pages.remove(page)  # Chromium reports that such a page cannot be isolated

    async def test_the_page_says_that_the_server_has_enough_of_them(self):
        page = await self.open_page()
        self.occupy("/slow", 8, b"", b"send_timeout_ms")
        await page.click("#slow-run")
        await page.until(says("#slow-state",
                              "The server refused it: 8 slow readers are here already."))


class PricesTest(Case):
    async def test_a_few_instruments_tick_and_more_may_be_subscribed_to(self):
        page = await self.open_page()
        await page.until(f"{PRICE_RATE} > 60")
        for name in ("X000", "X458"):
            tick = f"[...document.querySelectorAll('.tick')].find((tick) => " \
                   f"tick.textContent.startsWith('{name}')).textContent"
            before = await page.value(tick)
            await page.until(f"{tick} !== '{before}'")
        await page.value("""(() => {
            document.querySelector('#prices-count').value = '500';
            document.querySelector('#prices-count').dispatchEvent(new Event('change'));
        })()""")
        await page.until(f"{PRICE_RATE} > 1000")

    async def test_who_stops_reading_holds_nobody_up_and_gets_the_newest_then(self):
        page = await self.open_page()
        await page.click("#prices-slow")
        await page.until(f"{ASLEEP} >= 3")
        await self.talks_on(page, f"{PRICE_RATE} > 60 && {says('#prices-state', 'has not read')}")
        await page.click("#prices-slow")
        await page.until(says("#prices-state", "were replaced by newer ones"))
        self.assertTrue(await page.value(says("#prices-slow", "Stop reading")))
        self.assertTrue(await page.value(says("#spoken", "were replaced by newer ones")))


class TransferTest(Case):
    def file_of(self, data):
        file = self.enterContext(tempfile.NamedTemporaryFile(prefix="websock-"))
        file.write(data)
        file.flush()
        return file.name

    async def test_a_file_goes_there_and_back_and_the_page_shows_how_far_it_is(self):
        data = os.urandom((5 << 20) + 4711)
        page = await self.open_page(script=BARS)
        await page.choose_file("#transfer-file", self.file_of(data))
        await page.click("#transfer-run")
        await page.until(says("#transfer-state", "5.0 MiB went there and back in"))
        self.assertTrue(await page.value(says("#transfer-state", "the same bytes")))
        self.assertTrue(await page.value(says("#spoken", "the same bytes")))
        self.assertEqual(await page.value(SAVED_HASH), hashlib.sha256(data).hexdigest())
        bars = await page.value("window.bars")
        for bar in ("transfer-up", "transfer-back"):
            self.assertGreater(len({value for value in bars[bar] if 0 < value < 1}), 2, bar)
            self.assertEqual(bars[bar][-1], 1)
        self.assertTrue([text for text in bars["left"] if "have not left the browser" in text])
        await page.until("document.querySelector('#stats-connections').textContent === '4'")

    async def test_noise_and_an_empty_file_do_too(self):
        page = await self.open_page()
        await page.click("#transfer-random")
        await page.until(says("#transfer-state", "16.0 MiB went there and back in"))
        await page.choose_file("#transfer-file", self.file_of(b""))
        await page.click("#transfer-run")
        await page.until(says("#transfer-state", "0 B went there and back in"))
        self.assertTrue(await page.value(says("#transfer-run", "Send it")))

    async def test_the_page_says_that_the_server_has_enough_of_them(self):
        page = await self.open_page()
        self.occupy("/transfer", 4, frame(BINARY, b"x"), b"complete")
        await page.click("#transfer-random")
        await page.until(says("#transfer-state",
                              "The server refused it: 4 files are here already."))


class TooLargeFileTest(Case):
    options = ("--max-file", "1000000")

    async def test_the_page_says_that_the_server_does_not_take_so_large_a_file(self):
        page = await self.open_page()
        await page.click("#transfer-random")
        await page.until(says("#transfer-state",
                              "The server ended it: a file may have 1000000 bytes."))


class DroppedReaderTest(Case):
    options = ("--send-timeout", "3")

    async def test_a_slow_reader_is_dropped_in_the_end(self):
        page = await self.open_page()
        await page.click("#slow-run")
        await page.until(f"{WAITED} >= 1")
        await page.until(says("#slow-state", "Dropped by the server after"))
        self.assertTrue(await page.value(says("#slow-state", "Send timeouts so far: 1.")))
        self.assertFalse(await page.value(SLOW_READER_RUNS))


over_tls(globals(), TalkTest, CompressionTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
