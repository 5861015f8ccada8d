"""The sender's side: replay the runs here first, pack them, send them, wait for the verdict."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from lamer_bench.errors import LamerBenchError, SettingError
from lamer_bench.record import RunFolder
from lamer_bench.verify import verify
from leaderboard.bundles import MOST_BYTES, AgentCard, pack
from leaderboard.rules import fault_of

TOKEN_VARIABLE = "LAMER_BENCH_TOKEN"
_SECONDS_TO_ANSWER = 60.0
_PAUSES = (1.0, 2.0, 4.0)
"""Seconds between attempts to send."""
_LONGER_PAUSES = (*_PAUSES, 8.0, 16.0, 30.0)
"""Between attempts to ask for the verdict, which a board that starts again has not lost."""
_MOST_ANSWER_BYTES = 2**26
_BLOCK = 2**16


class BoardError(LamerBenchError):
    """A board that cannot be reached, or that refuses."""


# Tokens ------------------------------------------------------------------------------------------


def token_file() -> Path:
    """Where tokens are kept, readable by their owner only."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "lamer-bench" / "tokens.json"


def store_token(url: str, token: str) -> Path:
    """Keep a token for a board; the file's mode is 600 from its first byte on."""
    path = token_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(_stored_tokens() | {board_address(url): token}, file, indent=2)
    os.replace(temporary, path)
    return path


def token_for(url: str) -> str:
    """The token for a board: from the environment variable, else as stored; raises
    `SettingError`."""
    token = os.environ.get(TOKEN_VARIABLE) or _stored_tokens().get(board_address(url))
    if not token:
        raise SettingError(
            f"There is no token for {board_address(url)}. Get one from whoever runs that board, "
            f"then: lamer-bench login --url {board_address(url)} (or set {TOKEN_VARIABLE})."
        )
    return token


def board_address(url: str) -> str:
    """``https://host:port/prefix``; raises `SettingError` for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(f"{url!r} is no board's address. It looks like https://board.example.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _stored_tokens() -> dict[str, str]:
    try:
        found = json.loads(token_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingError(f"{token_file()} is damaged: {error}. Delete it and log in.") from error
    return found if isinstance(found, dict) else {}


# Submitting --------------------------------------------------------------------------------------


def submit(
    paths: Sequence[Path],
    url: str,
    card: AgentCard,
    *,
    seconds: float = 1800.0,
    notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Send one agent's runs and wait for the verdict.

    Args:
        paths: run folders, one for each environment.
        url: of the board.
        card: what is declared of the agent.
        seconds: how long to wait for the verdict; it stays pending afterwards.
        notice: called with each line about the progress.

    Returns:
        ``{"state", "entry", "reason", "digest", "url"}``.

    Raises:
        SettingError: the runs are no entry, or do not replay here.
        BoardError: the board cannot be reached, or refuses for another reason.
    """
    token = token_for(url)
    runs = [RunFolder(path) for path in paths]
    if fault := fault_of(runs, in_bundle=False):
        raise SettingError(f"These runs cannot be submitted. {fault}")
    for run in runs:
        verdict = verify(run)
        if not verdict.is_ok:
            raise SettingError(str(verdict))
        notice(str(verdict))
    with tempfile.TemporaryDirectory(prefix="lamer-bench-") as scratch:
        bundle = Path(scratch) / "bundle.zip"
        digest = pack(runs, card, bundle)
        size = bundle.stat().st_size
        if size > MOST_BYTES:
            raise SettingError(
                f"The bundle has {size} bytes; a board takes {MOST_BYTES}. Submit fewer runs."
            )
        notice(f"sending {size / 1e6:.1f} MB, digest {digest[:12]}")
        answer = _sent(bundle, url, token, notice)
    asked = f"{board_address(url)}/api/v1/submissions/{digest}"
    deadline = time.monotonic() + seconds
    pause = 0.2
    while answer["state"] == "pending" and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(5.0, 1.5 * pause)
        answer = persistent(lambda: _asked(asked), _LONGER_PAUSES, notice)
    return answer


def withdraw(entry: int, url: str) -> None:
    """Take one's own entry off a board; raises `BoardError` when the board refuses."""
    headers = {"Authorization": f"Bearer {token_for(url)}", "Content-Length": "0"}
    address = f"{board_address(url)}/api/v1/entries/{entry}/withdraw"
    _asked(Request(address, data=b"", method="POST", headers=headers))


def _sent(bundle: Path, url: str, token: str, notice: Callable[[str], None]) -> dict[str, Any]:
    """Send the bundle; an attempt that breaks off is repeated, which a board does not mind."""

    def send() -> dict[str, Any]:
        with bundle.open("rb") as file:
            request = Request(
                f"{board_address(url)}/api/v1/submissions",
                data=_Shown(file, bundle.stat().st_size, notice),
                method="POST",
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(bundle.stat().st_size),
                },
            )
            return _asked(request)

    return persistent(send, _PAUSES, notice)


def persistent(
    ask: Callable[[], dict[str, Any]], pauses: Sequence[float], notice: Callable[[str], None]
) -> dict[str, Any]:
    """What ``ask()`` returns; while the board cannot be reached, asked again after each pause."""
    for pause in pauses:
        try:
            return ask()
        except _Unreached as error:
            notice(f"{error} Trying again.")
            time.sleep(pause)
    return ask()


def post_json(address: str, document: Mapping[str, Any], token: str) -> dict[str, Any]:
    """The JSON object that a board answers to one."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept-Encoding": "gzip",
    }
    data = json.dumps(document).encode()
    return _asked(Request(address, data=data, method="POST", headers=headers))


class _Unreached(BoardError):
    """Worth another attempt."""


def _asked(request: Request | str) -> dict[str, Any]:
    """The JSON object that a board answers, also to a bundle that it rejects."""
    address = request if isinstance(request, str) else request.full_url
    board = board_address(address.partition("/api/")[0])
    try:
        with urlopen(request, timeout=_SECONDS_TO_ANSWER) as response:
            return _object(response, board)
    except HTTPError as error:
        if error.code in (502, 503, 504):  # what stands in front of a board that starts
            raise _Unreached(f"{board} is away ({error.code}).") from error
        with error:
            found = _object(error, board)
        if error.code == 422:
            return found
        raise BoardError(f"{board} refuses ({error.code}): {found.get('error', '')}") from error
    except (URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise _Unreached(f"{board} cannot be reached: {reason}.") from error


def _object(response: Any, board: str) -> dict[str, Any]:
    try:
        content = response.read(_MOST_ANSWER_BYTES)
        if getattr(response, "length", 0) and len(content) < _MOST_ANSWER_BYTES:
            raise _Unreached(f"{board} broke off in the middle of an answer.")
        if response.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        found = json.loads(content)
    except (ValueError, EOFError, zlib.error) as error:
        raise BoardError(f"{board} answers no JSON; is it a board's address?") from error
    if not isinstance(found, dict):
        raise BoardError(f"{board} answers something else than an object.")
    return found


class _Shown:
    """A file that tells how much of it has been read."""

    def __init__(self, file: IO[bytes], size: int, notice: Callable[[str], None]) -> None:
        self._file, self._size, self._notice = file, size, notice
        self._done = self._told = 0

    def read(self, count: int = _BLOCK) -> bytes:
        """For http.client."""
        block = self._file.read(count)
        self._done += len(block)
        share = 100 * self._done // self._size
        if self._size > 2**22 and share >= self._told + 10:
            self._told = share
            self._notice(f"sent {share} %")
        return block
