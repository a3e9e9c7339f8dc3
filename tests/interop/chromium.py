# Headless Chromium and its pages, driven through the DevTools protocol: no driver program, no
# npm package. What is tested is in chromium_test.py.

import asyncio
import base64
import itertools
import json
import os
import shutil
import tempfile

import websockets

from deadline import within
from program import Program

WIDTH, HEIGHT = 1280, 1200  # of a page, in pixels
# This machine, under a host name whose pages, unlike those of 127.0.0.1, are no secure context
# without TLS.
NOT_SECURE = "plain.test"

# Resolves to the condition's value once that is true; checks again whenever the document
# changes.
UNTIL = """new Promise((resolve, reject) => {
    const look = () => {
        try {
            const value = (%s);
            if (value) {
                observer.disconnect();
                resolve(value);
            }
        } catch (error) {
            reject(error);
        }
    };
    const observer = new MutationObserver(look);
    observer.observe(document,
        {attributes: true, characterData: true, childList: true, subtree: true});
    look();
})"""


class Chromium(Program):
    """The browser's process, with its own profile. devtools_url is its DevTools socket.
    trusted_key is the hash of the one public key that it accepts from a server whose
    authority it does not know."""

    def __init__(self, trusted_key):
        self.profile = tempfile.TemporaryDirectory(prefix="websock-chromium-",
                                                   ignore_cleanup_errors=True)
        options = [
            "--headless",
            "--no-sandbox",  # not possible as root or in many containers; only our page is shown
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--host-resolver-rules=MAP {NOT_SECURE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--ignore-certificate-errors-spki-list={trusted_key}",
            "--remote-debugging-port=0",
            f"--user-data-dir={self.profile.name}",
            "about:blank",
        ]
        # What it writes elsewhere also goes to the profile.
        directories = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        environment = {**os.environ, **dict.fromkeys(directories, self.profile.name)}
        super().__init__([shutil.which("chromium"), *options], exit_code=None, env=environment)

    def __enter__(self):
        super().__enter__()
        self.devtools_url = self.wait_for_line("stderr", r"DevTools listening on (ws://\S+)")[1]
        return self

    def __exit__(self, *error):
        with self.profile:
            super().__exit__(*error)


class DevTools:
    """One connection to the browser, an async context manager. It carries the commands of
    all pages, told apart by their sessions."""

    def __init__(self, url):
        self.url = url
        self._numbers = itertools.count(1)
        self._answers = {}  # number of a command -> its future
        self._listeners = {}  # session -> a function of (method, params)

    async def __aenter__(self):
        self._socket = await within(websockets.connect(self.url, max_size=None, compression=None))
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *error):
        await within(self._socket.close())
        await within(self._reader)

    async def call(self, method, session=None, **params):
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps(command))
        answer = await within(self._answers[number])
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def listen(self, session, listener):
        self._listeners[session] = listener

    async def open_page(self, url, script=""):
        """A page in a window with its own cookies and storage. script runs before the page's."""
        context = await self.call("Target.createBrowserContext", disposeOnDetach=True)
        target = await self.call("Target.createTarget", url="about:blank", newWindow=True,
                                 **context)
        attached = await self.call("Target.attachToTarget", flatten=True, **target)
        page = Page(self, attached["sessionId"])
        await page.open(url, script)
        return page

    async def _read(self):
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message.get("sessionId") in self._listeners:
                self._listeners[message["sessionId"]](message["method"], message["params"])


class Page:
    """problems lists errors on its console and uncaught exceptions."""

    def __init__(self, devtools, session):
        self.devtools = devtools
        self.session = session
        self.problems = []
        devtools.listen(session, self._note)

    async def call(self, method, **params):
        return await self.devtools.call(method, self.session, **params)

    async def open(self, url, script=""):
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.resize(WIDTH, HEIGHT)
        # Behaves as if its window were active, whatever other pages there are.
        await self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=script)
        answer = await self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer}"

    async def resize(self, width, height):
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                        deviceScaleFactor=1, mobile=False)

    async def prefer(self, scheme):
        """light or dark"""
        await self.call("Emulation.setEmulatedMedia",
                        features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def value(self, expression):
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                                 returnByValue=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer}"
        return answer["result"].get("value")

    async def until(self, condition):
        try:
            return await self.value(UNTIL % condition)
        except TimeoutError:
            page = await self.value("document.body.innerText")
            raise AssertionError(f"never true: {condition}; {self.problems}; {page}") from None

    async def click(self, selector):
        await self.until(f"document.querySelector('{selector}')?.disabled === false")
        x, y = await self.value(f"""(() => {{
            const element = document.querySelector('{selector}');
            element.scrollIntoView({{block: 'center', behavior: 'instant'}});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                            clickCount=1)

    async def choose_file(self, selector, path):
        answer = await self.call("Runtime.evaluate",
                                 expression=f"document.querySelector('{selector}')")
        await self.call("DOM.setFileInputFiles", files=[path],
                        objectId=answer["result"]["objectId"])

    async def fill_in(self, selector, text):
        """Replaces the content of the field."""
        await self.click(selector)
        await self.value(f"document.querySelector('{selector}').select()")
        await self.call("Input.insertText", text=text)

    async def press_enter(self):
        await self._press("Enter", 13, "\r")

    async def press_tab(self):
        await self._press("Tab", 9, "")

    async def screenshot(self):
        """PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def _press(self, key, code, text):
        for kind, typed in (("keyDown", text), ("keyUp", "")):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                            windowsVirtualKeyCode=code, text=typed)

    def _note(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.problems.append(params["args"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"])
