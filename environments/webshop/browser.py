"""The shop through a real browser: `webshop-browser` plays the served pages in headless Chromium.

What an agent sees is read from the page that Chromium shows, and what it does is a click or typing
in it. One Chromium serves all environments of a process, because one takes half a gigabyte; where
it stops, the episodes under way break off (their trials become void) and the next start another.
A guard beside it ends it when the program is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from environments.webshop import WebShop
from environments.webshop.pages import INSTRUCTION, Element, Page
from environments.webshop.scoring import Score
from environments.webshop.visit import Visit
from lamer_bench.errors import BrowserError, MissingExtraError

CHROMIUM, DRIVER = "chromium", "chromedriver"
"""Programs that are looked for on the path."""
LOAD_SECONDS = 60.0
"""A page that takes longer counts as a browser that stopped."""

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root, in a container; only pages of this process are opened
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--window-size=1000,1400",
)
_GUARD = """
read -r _
for file in /proc/[0-9]*/cmdline; do
    process=${file#/proc/}; process=${process%/cmdline}
    [ "$process" = $$ ] || ! grep -qaF -- "$1" "$file" || kill -9 "$process"
done
rm -rf -- "$1"
"""
"""Ends what was started with a profile folder as soon as nobody holds the other end of its input:
a killed program cannot tidy up after itself."""
_READ = """
const main = document.querySelector('main[data-page]');
if (!main || document.readyState !== 'complete' || main.dataset.turn !== arguments[0]) return null;
const elements = [...main.querySelectorAll('[data-role]')].map(e => [
    e.innerText.trim(), e.dataset.role, e.ariaPressed === 'true', e.dataset.group || '']);
return [main.dataset.page, elements];
"""
_PRESS = """
const button = arguments[0] === null
    ? document.querySelector('[data-role=field]')
    : [...document.querySelectorAll('main button[name=click]')].find(
        e => 'click[' + e.value.toLowerCase() + ']' === arguments[0]);
if (!button.checkVisibility() || button.disabled) throw new Error('It cannot be clicked.');
button.click();
"""
"""Presses the button of an action, null for that of the search. The page's own click, because the
driver's moves a mouse there first, which takes longer than the next page (docs/log.md)."""


class WebShopBrowser(WebShop):
    __doc__ = (
        "Play WebShop's pages in a real browser: the tasks, observations and rewards of `webshop`."
        f"\n\n{(WebShop.__doc__ or '').partition(chr(10) * 2)[2]}"
    )

    family: ClassVar[str] = "webshop-browser"
    plays: ClassVar[str] = "webshop"
    packages: ClassVar[tuple[str, ...]] = ("bm25s", "flask", "selenium")

    def prepare(self) -> None:
        check_installed()
        super().prepare()

    def enter(self) -> Visit:
        return BrowserVisit(super().enter(), chromium(self))

    def close(self) -> None:
        """Leave Chromium, which ends with the last environment that uses it."""
        super().close()
        with _lock:
            if _shared is not None:
                _shared.users.discard(id(self))
                if not _shared.users:
                    _shared.close()


class BrowserVisit(Visit):
    """A visit that goes where Chromium shows it."""

    def __init__(self, visit: Visit, browser: Chromium) -> None:
        self._visit = visit
        self._browser = browser
        self._turns = 0
        self._name = browser.lobby.enter(visit)
        self.page, self._instruction = browser.show(self._name, 0)

    @property
    def instruction(self) -> str:
        return self._instruction

    @property
    def score(self) -> Score | None:  # type: ignore[override]
        return self._visit.score

    def act(self, action: str) -> None:
        """Do on the page what an action says, and read where it leads."""
        self._browser.show(self._name, self._turns)
        self._turns += 1
        self.page, instruction = self._browser.act(action, self._turns)
        self._instruction = instruction or self._instruction
        if self._visit.score is not None:
            self._browser.lobby.leave(self._name)


class Chromium:
    """A headless Chromium, and the server whose pages it shows.

    Every failure of the browser closes it and raises `BrowserError`.
    """

    def __init__(self) -> None:
        check_installed()
        from environments.webshop.app import Lobby, Server

        self.users: set[int] = set()
        self.is_open = True
        self.lobby = Lobby()
        self._shown: tuple[str, int] | None = None
        self._last: tuple[Page, str]
        self._profile = Path(tempfile.mkdtemp(prefix="lamer-bench-chromium-"))
        self._server = Server(self.lobby)
        self._guard = _guard(self._profile)
        with self._closing_on_failure("could not be started"):
            self._driver = _start(self._profile)

    def show(self, name: str, turns: int) -> tuple[Page, str]:
        """The page of a visitor after so many turns, and the instruction on it."""
        if self._shown != (name, turns):
            with self._closing_on_failure():
                self._driver.get(f"{self._server.address}visit/{name}")
                self._last = self._read(turns)
                self._shown = (name, turns)
        return self._last

    def act(self, action: str, turns: int) -> tuple[Page, str]:
        """Type a search or click on the present page; then see `show`."""
        assert self._shown is not None
        name, self._shown = self._shown[0], None
        with self._closing_on_failure():
            if action.startswith("search["):
                self._driver.find_element("name", "words").send_keys(
                    action.removeprefix("search[").removesuffix("]")
                )
                self._driver.execute_script(_PRESS, None)
            else:
                self._driver.execute_script(_PRESS, action)
            self._last = self._read(turns)
            self._shown = (name, turns)
        return self._last

    def close(self) -> None:
        """End Chromium, its driver and the server, and remove what they stored."""
        if not self.is_open:
            return
        self.is_open = False
        with contextlib.suppress(Exception):  # it may be gone already
            self._driver.quit()
        self._server.close()
        self._guard.communicate()  # it ends what is left, and removes the profile
        shutil.rmtree(self._profile, ignore_errors=True)  # where the guard itself was ended

    def _read(self, turns: int) -> tuple[Page, str]:
        from selenium.webdriver.support.wait import WebDriverWait

        waiting = WebDriverWait(self._driver, LOAD_SECONDS, poll_frequency=0.01)
        name, shown = waiting.until(lambda driver: driver.execute_script(_READ, str(turns)))
        instruction = next((text for text, role, *_ in shown if role == "instruction"), "")
        elements = (
            INSTRUCTION if role == "instruction" else Element(text, role, is_pressed, group)
            for text, role, is_pressed, group in shown
        )
        return Page(name, tuple(elements)), instruction

    @contextlib.contextmanager
    def _closing_on_failure(self, what: str = "stopped") -> Iterator[None]:
        if not self.is_open:
            raise BrowserError("Chromium stopped; the next episode starts another.")
        try:
            yield
        except Exception as error:
            self.close()
            reason = " ".join(str(error).split())[:200]
            raise BrowserError(f"Chromium {what}: {type(error).__name__}: {reason}") from error


_shared: Chromium | None = None
_lock = threading.RLock()


def chromium(user: object) -> Chromium:
    """The open Chromium of this process, started where there is none; ``user`` keeps it open."""
    global _shared
    with _lock:
        if _shared is None or not _shared.is_open:
            _shared = Chromium()
            atexit.register(_shared.close)
        _shared.users.add(id(user))
        return _shared


def check_installed() -> None:
    """Raise `MissingExtraError` with one line where something is not there."""
    missing = [name for name in ("flask", "selenium") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"webshop-browser needs {' and '.join(missing)}. Install what it needs: "
            "pip install 'lamer-bench[browser]'."
        )
    programs = [name for name in (CHROMIUM, DRIVER) if shutil.which(name) is None]
    if programs:
        raise MissingExtraError(
            f"webshop-browser needs the program {' and '.join(programs)}. Install it, on Debian: "
            "apt-get install chromium chromium-driver."
        )


def processes(profile: Path) -> list[int]:
    """Processes that were started with a profile folder, where the system lists them in /proc."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(profile).encode() in file.read_bytes():
                found.append(int(file.parent.name))
    return found


def _guard(profile: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", _GUARD, "sh", str(profile)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt at the keyboard is not meant for it
    )


def _start(profile: Path) -> Any:
    from selenium import webdriver

    os.environ.setdefault("SE_OFFLINE", "true")
    os.environ.setdefault("SE_AVOID_STATS", "true")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which(CHROMIUM))
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver_log = str(profile / "driver.log")
    service = webdriver.ChromeService(shutil.which(DRIVER), log_output=driver_log)
    driver = webdriver.Chrome(options, service)
    driver.set_page_load_timeout(LOAD_SECONDS)
    driver.set_script_timeout(LOAD_SECONDS)
    return driver
