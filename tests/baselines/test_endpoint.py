"""The client of an OpenAI-compatible server: what it sends, and what it makes of bad servers."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from baselines.endpoint import Endpoint, Request, in_parallel
from baselines.endpoint_settings import EndpointSettings
from lamer_bench.agent import Answer
from lamer_bench.errors import AgentError, LamerBenchError, MissingExtraError
from tests.chat_server import ChatServer, Received, Reply, completion

KEY = "sk-test-0123456789abcdef"
Serve = Callable[[Callable[[Received], Reply | str]], ChatServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start servers that answer as told, the key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(ChatServer(answer).running())


def endpoint(server: ChatServer | str, **options: Any) -> Endpoint:
    base_url = server if isinstance(server, str) else server.base_url
    given = {"model": "tiny", "pause_seconds": 0.01, **options}
    return Endpoint(EndpointSettings.read({"base_url": base_url, **given}))


def ask(one: Endpoint, *prompts: str) -> list[Answer | AgentError]:
    requests = [Request([{"role": "user", "content": text}], seed=5) for text in prompts]
    return one.answers(requests)


def in_turn(*replies: Reply | str) -> Callable[[Received], Reply | str]:
    """Each request gets the next reply, and the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# A sound server ----------------------------------------------------------------------------------


def test_a_request_holds_the_model_the_prompt_the_sampling_and_the_key(serve: Serve) -> None:
    server = serve(lambda _: completion("<action>up</action>", 11, 4))
    one = endpoint(server, temperature="0.5", max_tokens=64, request_fields='{"top_k": 20}')
    assert ask(one, "go") == [Answer("<action>up</action>", prompt_tokens=11, answer_tokens=4)]
    (received,) = server.received
    assert received.path == "/v1/chat/completions"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "go"}],
        "temperature": 0.5,
        "top_p": 0.8,
        "max_tokens": 64,
        "top_k": 20,
        "seed": 5,
    }


def test_what_is_left_to_the_server_is_not_sent(serve: Serve, monkeypatch: Any) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    server = serve(lambda _: "yes")
    options = {"temperature": "none", "top_p": "none", "max_tokens": "none", "send_seed": "false"}
    ask(endpoint(server, **options), "go")
    assert server.received[0].body.keys() == {"model", "messages"}
    assert "authorization" not in server.received[0].headers


def test_address_and_model_may_stand_in_the_environment(serve: Serve, monkeypatch: Any) -> None:
    server = serve(lambda _: "yes")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_MODEL", "small")
    assert ask(Endpoint(EndpointSettings()), "go") == [Answer("yes", 7, 3)]
    assert server.received[0].body["model"] == "small"


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_an_address_is_understood_in_its_usual_forms(serve: Serve, ending: str) -> None:
    server = serve(lambda _: "yes")
    ask(endpoint(server.base_url.removesuffix("/v1") + ending), "go")
    assert server.received[0].path == "/v1/chat/completions"


def test_many_requests_are_in_flight_and_answers_keep_their_order(serve: Serve) -> None:
    together = threading.Barrier(8, timeout=60)  # no reply before eight requests are there

    def echo(received: Received) -> Reply:
        together.wait()
        return completion(received.prompt)

    server = serve(echo)
    prompts = [str(number) for number in range(24)]
    one = endpoint(server, in_flight=8)
    assert [answer.text for answer in ask(one, *prompts) + ask(one, *prompts)] == 2 * prompts
    assert server.most_at_once == 8
    assert len({received.connection for received in server.received}) <= 8, "kept alive"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "ab"),
        ({"odd": 1}, ""),
        ("<script>&amp;</think>\ud800 √", "<script>&amp;</think>\ud800 √"),
    ],
)
def test_content_is_read_as_text_whatever_it_is(serve: Serve, content: Any, text: str) -> None:
    assert ask(endpoint(serve(lambda _: completion(content))), "go") == [Answer(text, 7, 3)]


@pytest.mark.parametrize(
    "usage",
    [None, "much", {}, {"prompt_tokens": "7"}, {"prompt_tokens": -1}, {"prompt_tokens": 10**99}],
)
def test_missing_or_odd_token_counts_are_zero(serve: Serve, usage: Any) -> None:
    body = {"choices": [{"message": {"content": "yes"}}], "usage": usage}
    server = serve(lambda _: Reply(json.dumps(body).encode()))
    assert ask(endpoint(server), "go") == [Answer("yes", 0, 0)]


# Bad servers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        Reply(b"boom", status=500),
        Reply(b"", status=503),
        Reply(b"slow down", status=429),
        Reply(b"<html>not JSON"),
        Reply(b"[" * 100_000),
        Reply(b'{"choices": []}'),
        Reply(b'{"error": {"message": "overloaded"}}'),
        Reply(b'"text"'),
        Reply(b"\xff\xfe"),
        Reply(completion("half").body, breaks_off=True),
    ],
)
def test_what_may_pass_is_tried_again(serve: Serve, bad: Reply) -> None:
    server = serve(in_turn(bad, bad, "yes"))
    assert ask(endpoint(server), "go") == [Answer("yes", 7, 3)]
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Reply(b'{"error": {"message": "the model\\nbroke"}}', 500), "HTTP 500: the model broke"),
        (Reply(b"busy", status=429), "HTTP 429: busy"),
        (Reply(b"<html>hello"), "not a chat completion: '<html>hello'"),
        (Reply(completion("half").body, breaks_off=True), "the connection broke"),
    ],
)
def test_what_does_not_pass_is_an_error_in_its_place(serve: Serve, bad: Reply, says: str) -> None:
    server = serve(lambda received: bad if received.prompt == "bad" else "yes")
    good, error, good_too = ask(endpoint(server, retries=2), "good", "bad", "good")
    assert good == good_too == Answer("yes", 7, 3)
    assert isinstance(error, AgentError)
    assert says in str(error)
    assert server.base_url in str(error)
    assert sum(received.prompt == "bad" for received in server.received) == 3


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (400, b'{"error": {"message": "prompt too long"}}', "HTTP 400: prompt too long"),
        (401, b'{"error": "no"}', "HTTP 401: no (the key is refused, or there is none)"),
        (404, b'{"error": {"code": 404}}', 'HTTP 404: {"error": {"code": 404}}'),
        (404, b"", "HTTP 404: nothing"),
    ],
)
def test_a_refusal_is_not_tried_again(serve: Serve, status: int, body: bytes, says: str) -> None:
    server = serve(lambda _: Reply(body, status))
    (error,) = ask(endpoint(server), "go")
    assert says in str(error)
    assert len(server.received) == 1


def test_pauses_double_and_the_server_may_ask_for_more(serve: Serve) -> None:
    busy = Reply(b"busy", 503)
    server = serve(in_turn(busy, busy, busy, Reply(b"busy", 429, {"Retry-After": "0.5"}), "yes"))
    ask(endpoint(server, pause_seconds=0.1), "go")
    times = [received.arrived for received in server.received]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert len(pauses) == 4
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.5), strict=True))


def test_a_server_that_asks_for_more_time_than_there_is_gets_no_second_try(serve: Serve) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server = serve(lambda _: Reply(b"come back tomorrow", 429, {"Retry-After": when}))
    (error,) = ask(endpoint(server), "go")
    assert "come back tomorrow" in str(error)
    assert len(server.received) == 1


@pytest.mark.parametrize("reply", [Reply(delay_seconds=60), Reply(b"x" * 99, drip_seconds=2)])
def test_a_slow_answer_costs_its_own_time_only(serve: Serve, reply: Reply) -> None:
    server = serve(lambda received: reply if received.prompt == "slow" else "yes")
    started = time.monotonic()
    good, slow = ask(endpoint(server, timeout_seconds=5), "go", "slow")
    assert time.monotonic() - started < 45
    assert good == Answer("yes", 7, 3)
    assert "no answer within 5 s" in str(slow) or "too slowly" in str(slow)


def test_a_reply_without_end_is_not_read_to_its_end(serve: Serve) -> None:
    server = serve(lambda _: Reply(b" " * 5_000_000))
    (error,) = ask(endpoint(server), "go")
    assert "more than 4194304 bytes" in str(error)


def test_a_server_that_is_down_is_not_waited_for_by_every_request() -> None:
    one = endpoint(f"http://127.0.0.1:{free_port()}", in_flight=4, retries=3, pause_seconds=0.2)
    started = time.monotonic()
    replies = ask(one, *["go"] * 200)
    assert time.monotonic() - started < 10  # 200 / 4 * (0.1 + 0.2 + 0.4) s would be 35
    assert all("cannot connect" in str(reply) for reply in replies)
    assert len(replies) == 200


def test_a_redirect_is_not_followed_and_carries_the_key_nowhere(serve: Serve) -> None:
    other = serve(lambda _: "yes")
    address = f"{other.base_url}/chat/completions"
    server = serve(lambda _: Reply(b"", 307, {"Location": address}))
    (error,) = ask(endpoint(server), "go")
    assert "HTTP 307: the server has moved; set base_url" in str(error)
    assert not other.received


# The key, and settings ---------------------------------------------------------------------------


def test_a_key_that_a_server_quotes_is_cut_out(serve: Serve) -> None:
    def quote(received: Received) -> Reply | str:
        said = received.prompt + received.headers["authorization"]
        return said if received.prompt == "ok" else Reply(said.encode(), 403)

    whole, cut, answer = ask(endpoint(serve(quote)), "who is ", "x" * 190, "ok")
    assert "HTTP 403: who is Bearer [key]" in str(whole)
    assert KEY[:2] not in str(cut)
    assert answer == Answer("okBearer [key]", 7, 3)


def test_a_word_in_the_place_of_a_key_stays_in_answers(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert ask(endpoint(serve(lambda _: "an EMPTY cell")), "go") == [Answer("an EMPTY cell", 7, 3)]


def test_settings_hold_what_an_answer_depends_on_and_no_key(serve: Serve) -> None:
    one = endpoint("https://models.example:8443/v1/", request_fields={"top_k": 20}, in_flight=3)
    assert one.settings() == {
        "base_url": "https://models.example:8443/v1",
        "model": "tiny",
        "temperature": 0.7,
        "top_p": 0.8,
        "max_tokens": 1024,
        "request_fields": {"top_k": 20},
        "seed": "drawn for each answer",
    }
    assert KEY not in repr(one) + repr(vars(one.options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temprature": 1}, "Did you mean 'temperature'"),
        ({"temperature": "hot"}, "temperature is 'hot': "),
        ({"temperature": 3}, "less than or equal to 2"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0}, "greater than 0"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"in_flight": 0}, "in_flight is 0"),
        ({"request_fields": "{top_k"}, "request_fields is '{top_k'"),
        ({"request_fields": "[1]"}, "valid dictionary"),
        ({"request_fields": {"stream": True}}, "request_fields cannot set 'stream'"),
        ({"base_url": "localhost:8000"}, "looks like this: http://localhost:8000/v1"),
        ({"base_url": "http://[::1"}, "looks like this"),
        ({"base_url": "http://me:secret@host/v1"}, "holds a user, a query"),
        ({"base_url": "http://host/v1?key=secret"}, "holds a user, a query"),
        ({"key_variable": "sk-secret"}, "is the name of the environment variable"),
        ({"key_variable": "BROKEN_KEY"}, "The key in BROKEN_KEY holds blanks"),
        ({"model": ""}, "Set OPENAI_MODEL"),
        ({"base_url": ""}, "Set OPENAI_BASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_is_one_clear_line(
    options: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROKEN_KEY", "two secret\nlines")
    with pytest.raises(LamerBenchError) as caught:
        Endpoint(EndpointSettings.read({"base_url": "http://host", "model": "tiny", **options}))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_extra_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lamer-bench\[api\]"'):
        endpoint("http://host")


def test_in_parallel_keeps_the_order_and_raises_what_was_raised() -> None:
    assert in_parallel(lambda number: number**2, range(50), 7) == [n**2 for n in range(50)]
    assert in_parallel(abs, [], 7) == []
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda number: 1 // number, [1, 0, 1], 2)
