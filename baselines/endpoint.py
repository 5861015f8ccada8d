"""Endpoint: a client of any OpenAI-compatible server; most ask its ``/v1/chat/completions``.

Many requests are in flight at once, each with its own deadline; what may pass (429, 5xx, a broken
connection, an answer that is no chat completion) is tried again after a pause that doubles. A
request that fails for good comes back as an `AgentError` in its place, so that it breaks its own
trial and no other.

What a server quotes of the key is cut out of its replies.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, NamedTuple, TypeVar

from baselines.endpoint_settings import EndpointSettings, base_url, key, model
from lamer_bench.agent import Answer
from lamer_bench.errors import AgentError, MissingExtraError
from lamer_bench.suites import TRIAL_SECONDS, TURN_SECONDS

_ABSURD_TOKENS = 10**9
MAX_REPLY_BYTES = 4 * 2**20
"""A longer reply is not read to its end."""
_PASSING_STATUS = frozenset({408, 425, 429})
"""Client errors that another try may cure; every 5xx may."""
_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 20.0
_BATCH_SHARE = 0.9
"""Share of the suite's time for a batch after which nothing is sent any more."""
_DETAIL_CHARACTERS = 200
_SECRET_CHARACTERS = 8
"""Shorter keys are such as local servers take, which want any word in its place."""

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
Message = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``"""


class Request(NamedTuple):
    """A prompt, and the seed that it is sampled with."""

    messages: list[Message]
    seed: int


class Endpoint:
    """A server; it connects when it is first asked."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.options = settings
        self.base_url = base_url(settings)
        """Without user, query and the slash at its end."""
        self.model = model(settings)
        self._key = key(settings.key_variable)
        self._http = _library()
        self._client = self._http.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            limits=self._http.Limits(max_connections=None, max_keepalive_connections=None),
        )
        weakref.finalize(self, self._client.close)
        self._chance = random.Random()

    def settings(self) -> dict[str, Any]:
        """What an answer depends on; never the key."""
        return {
            "base_url": self.base_url,
            "model": self.model,
            "temperature": self.options.temperature,
            "top_p": self.options.top_p,
            "max_tokens": self.options.max_tokens,
            "request_fields": self.options.request_fields,
            "seed": "drawn for each answer" if self.options.send_seed else None,
        }

    def answers(self, requests: Sequence[Request]) -> list[Answer | AgentError]:
        """A reply to each request, in order; the error where there is none."""
        allowed = min(len(requests) * TURN_SECONDS, TRIAL_SECONDS)
        bodies = [self._body(request) for request in requests]
        return self.ask("chat/completions", bodies, read_completion, _BATCH_SHARE * allowed)

    def ask(
        self,
        path: str,
        bodies: Sequence[Mapping[str, Any]],
        read: Callable[[bytes], _Made],
        seconds: float,
    ) -> list[_Made | AgentError]:
        """What ``read`` makes of the reply to each body, in order; the error where there is none.

        ``read`` raises `Failure` for a reply that is not what was asked for. Nothing is sent any
        more after ``seconds``.
        """
        batch = _Batch(until=time.monotonic() + seconds)

        def answer(body: Mapping[str, Any]) -> _Made | AgentError:
            return self._answer(lambda deadline: read(self._post(path, body, deadline)), batch)

        return in_parallel(answer, bodies, self.options.in_flight)

    def _body(self, request: Request) -> dict[str, Any]:
        seed = {"seed": request.seed} if self.options.send_seed else {}
        sampling = self.options.sampling()
        return {"model": self.model, "messages": request.messages, **sampling, **seed}

    def _answer(self, attempt: Callable[[float], _Made], batch: _Batch) -> _Made | AgentError:
        """Try until there is an answer, or until there is no sense in another try."""
        deadline = min(time.monotonic() + self.options.timeout_seconds, batch.until)
        for number in count():
            try:
                return attempt(deadline)
            except Failure as failure:
                pause = self._pause(number, failure)
                is_last = number >= self.options.retries or not failure.may_pass
                is_down = batch.is_down and failure.is_unreachable
                if is_last or is_down or time.monotonic() + pause >= deadline:
                    batch.is_down |= failure.is_unreachable
                    return AgentError(f"{self.base_url}: {failure}")
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _post(self, path: str, body: Mapping[str, Any], deadline: float) -> bytes:
        """The reply's content; raises `Failure` where there is none, or a refusal."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise Failure(
                "not asked, for the batch took too long; raise in_flight or lower --batch"
            )
        http = self._http
        try:
            with self._client.stream(
                "POST",
                f"{self.base_url}/{path}",
                content=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                timeout=http.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
            ) as response:
                content = self._scrub(_read(response.iter_bytes(), deadline))
        except (http.ConnectError, http.ConnectTimeout) as error:
            raise Failure(f"cannot connect: {error}", may_pass=True, is_unreachable=True) from error
        except http.TimeoutException as error:
            raise Failure(f"no answer within {seconds:.3g} s") from error
        except (http.HTTPError, http.StreamError) as error:
            kind = type(error).__name__
            raise Failure(f"the connection broke: {kind} {error}", may_pass=True) from error
        if response.status_code != 200:
            raise _refusal(response.status_code, response.headers, content)
        return content

    def _pause(self, number: int, failure: Failure) -> float:
        """Seconds before the next try: what the server asks for, or else twice the last pause."""
        if failure.retry_after is not None:
            return failure.retry_after
        pause: float = min(self.options.pause_seconds * 2**number, _LONGEST_PAUSE_SECONDS)
        return pause * self._chance.uniform(0.5, 1.0)

    def _scrub(self, content: bytes) -> bytes:
        """Without the key, which a server may quote; not where it is a word to fill a gap."""
        is_secret = len(self._key) >= _SECRET_CHARACTERS
        return content.replace(self._key.encode(), b"[key]") if is_secret else content


class _Batch:
    """What the requests of one batch share."""

    def __init__(self, until: float) -> None:
        self.until = until
        """Monotonic time after which nothing is sent."""
        self.is_down = False
        """True after a request could not connect in all its tries: the others try once."""


class Failure(Exception):
    """A try that brought no answer."""

    def __init__(
        self,
        message: str,
        *,
        may_pass: bool = False,
        is_unreachable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.is_unreachable = is_unreachable
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""


def read_completion(content: bytes) -> Answer:
    """The first choice's text and the token counts of ``usage``, 0 where the server counts none.

    A model that says nothing has answered with an empty text; a reply that is no chat completion
    raises, and may be tried again.
    """
    try:
        reply = json.loads(content)
        said = reply["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        shown = _detail(content)
        raise Failure(f"not a chat completion: {shown!r}", may_pass=True) from error
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Answer(
        _text(said),
        prompt_tokens=_count(counts.get("prompt_tokens")),
        answer_tokens=_count(counts.get("completion_tokens")),
    )


def _text(content: Any) -> str:
    """Text, or the text among typed parts; some servers send parts."""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < _ABSURD_TOKENS else 0


def _refusal(status: int, headers: Any, content: bytes) -> Failure:
    detail = f"HTTP {status}: {_detail(content)}"
    if 300 <= status < 400:
        return Failure(f"HTTP {status}: the server has moved; set base_url to where it is")
    if status == 401:
        detail = f"{detail} (the key is refused, or there is none)"
    return Failure(
        detail,
        may_pass=status >= 500 or status in _PASSING_STATUS,
        retry_after=_retry_after(headers.get("retry-after")),
    )


def _detail(content: bytes) -> str:
    """What a server says about an error: its message, or the beginning of the text."""
    text = content.decode("utf-8", "replace")
    try:
        said = json.loads(text)["error"]
        text = str(said["message"] if isinstance(said, dict) else said)
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    return " ".join(text.split())[:_DETAIL_CHARACTERS] or "nothing"


def _retry_after(value: str | None) -> float | None:
    """Seconds from a ``Retry-After`` header: a number or a date; None where it is neither."""
    if value is None:
        return None
    try:
        if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return float(value)
        wanted = parsedate_to_datetime(value)
        return max(0.0, (wanted - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _read(chunks: Iterator[bytes], deadline: float) -> bytes:
    """A reply to its end, unless it is too long or comes too slowly."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            raise Failure(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise Failure("the reply came too slowly")
    return bytes(content)


def _library() -> Any:
    try:
        import httpx2
    except ImportError as error:
        raise MissingExtraError(
            "An agent that prompts a server needs an HTTP client. "
            'Install it: pip install "lamer-bench[api]"'
        ) from error
    return httpx2


def in_parallel(
    function: Callable[[_Given], _Made], items: Sequence[_Given], num_threads: int
) -> list[_Made]:
    """``[function(item) for item in items]`` with up to ``num_threads`` of them at a time.

    The threads are daemons: a request under way does not keep a stopped process alive.
    """
    made: dict[int, _Made] = {}
    errors: list[BaseException] = []
    numbers = iter(range(len(items)))
    lock = threading.Lock()

    def work() -> None:
        while not errors:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                made[number] = function(items[number])
            except BaseException as error:
                errors.append(error)

    threads = [
        threading.Thread(target=work, name="endpoint", daemon=True)
        for _ in range(min(num_threads, len(items)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [made[number] for number in range(len(items))]
