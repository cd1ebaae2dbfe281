"""Chromium without a window, driven over two pipes by its DevTools protocol: no driver, no library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0


def program() -> str:
    """Return the browser of this machine; where there is none, Debian's package is installed."""
    for install in (True, False):
        for name in NAMES:
            if shutil.which(name):
                return name
        if install:
            subprocess.run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", "chromium"], check=True)
    raise FileNotFoundError(f"There is none of {', '.join(NAMES)}: install the package chromium.")


class Chromium:
    """A browser with a profile of its own, for as long as the block lasts.

    It takes certificates whose key has the fingerprint ``trusted`` (base64 of the SHA-256 of its SubjectPublicKeyInfo),
    and otherwise those of the machine's authorities.
    """

    def __init__(self, profile: Path, trusted: str) -> None:
        self._words = [
            program(),
            "--headless=new",
            "--no-sandbox",  # which root has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--window-size=900,760",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--ignore-certificate-errors-spki-list={trusted}",
            "about:blank",
        ]
        self._number = 0
        self.failures: list[str] = []
        """Requests of its pages that failed: the error, and the reason where a rule about origins blocked them."""

    def __enter__(self) -> Self:
        """Start it."""
        asked, self._asks = os.pipe()
        self._answers, answered = os.pipe()
        # It reads from descriptor 3 and writes to 4; sh itself need not know descriptors of two digits.
        words = ["bash", "-c", f'exec "$@" 3<&{asked} 4>&{answered}', "chromium", *self._words]
        self._process = subprocess.Popen(
            words, pass_fds=(asked, answered), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(asked)
        os.close(answered)
        self._rest = b""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        except (EOFError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._asks)
        os.close(self._answers)

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol. Raises RuntimeError with what the browser says against it."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._asks, data) :]
        while True:
            found = self._receive()
            if found.get("method") == "Network.loadingFailed":
                failed = found["params"]
                reason = failed.get("corsErrorStatus", {}).get("corsError") or failed.get("blockedReason", "")
                self.failures.append(f"{failed['errorText']} {reason}".strip())
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                result: dict[str, Any] = found["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers, 1 << 16)
            if not piece:
                raise EOFError("The browser has ended.")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def open(self, url: str) -> Tab:
        """Open a page, and wait until it has been loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Network.enable", session)
        self.call("Page.navigate", session, url=url)
        tab = Tab(self, session)
        tab.until(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")
        return tab

    def cookies(self) -> list[dict[str, Any]]:
        """Return all cookies."""
        found: list[dict[str, Any]] = self.call("Storage.getCookies")["cookies"]
        return found


@dataclass(frozen=True)
class Tab:
    """A page, as somebody in front of it uses it."""

    browser: Chromium
    session: str

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript gives. Raises RuntimeError where it throws."""
        done = self.browser.call(
            "Runtime.evaluate", self.session, expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise RuntimeError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true; AssertionError with the page's words and what failed otherwise."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < deadline, (
                f"{expression}: {self.value('document.body.innerText')}\nFailed requests: {self.browser.failures}"
            )
            time.sleep(0.1)

    def write(self, selector: str, text: str) -> None:
        """Write into a field, in the place of what is there."""
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.browser.call("Input.insertText", self.session, text=text)

    def press(self, selector: str) -> None:
        """Press a button that can be seen, and pressed."""
        button = f"document.querySelector({json.dumps(selector)})"
        self.until(f"{button} !== null && {button}.checkVisibility() && !{button}.disabled")
        self.value(f"{button}.click()")

    def offline(self, gone: bool) -> None:
        """Take the network from the page, or give it back."""
        self.browser.call(
            "Network.emulateNetworkConditions", self.session, offline=gone, latency=0, downloadThroughput=-1,
            uploadThroughput=-1,
        )  # fmt: skip

    def screenshot(self, path: Path) -> None:
        """Keep what can be seen, as PNG."""
        data = self.browser.call("Page.captureScreenshot", self.session, format="png", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(data["data"]))
