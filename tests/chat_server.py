"""A local server that speaks ``/v1/chat/completions``, as well or as badly as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server sends back."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    """Before anything is sent."""
    drip_seconds: float = 0.0
    """Between two bytes of the body."""
    breaks_off: bool = False
    """Close the connection after half of the body."""


@dataclass
class Received:
    """What the server was sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: tuple[str, int]
    arrived: float
    """Monotonic seconds."""

    @property
    def prompt(self) -> str:
        """The user's message."""
        return self.body["messages"][-1]["content"]  # type: ignore[no-any-return]


def completion(content: Any, prompt_tokens: int = 7, completion_tokens: int = 3) -> Reply:
    """A sound reply."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    message = {"role": "assistant", "content": content}
    return Reply(json.dumps({"choices": [{"message": message}], "usage": usage}).encode())


class ChatServer:
    """Answers each request with what ``answer`` makes of it, and keeps the requests."""

    def __init__(self, answer: Callable[[Received], Reply | str]) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.most_at_once = 0
        """Most requests that were answered at one time."""
        self._at_once = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @contextmanager
    def running(self) -> Iterator[ChatServer]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    def reply_to(self, received: Received) -> Reply:
        """The reply, after its delay."""
        with self._lock:
            self.received.append(received)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reply = self.answer(received)
            reply = completion(reply) if isinstance(reply, str) else reply
            time.sleep(reply.delay_seconds)
        finally:
            with self._lock:
                self._at_once -= 1
        return reply


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            arrived = time.monotonic()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            where = self.client_address
            received = Received(self.path, headers, body, (where[0], where[1]), arrived)
            self._send(server.reply_to(received))

        def _send(self, reply: Reply) -> None:
            try:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self._send_body(reply)
            except OSError:  # the client has gone
                self.close_connection = True

        def _send_body(self, reply: Reply) -> None:
            if reply.breaks_off:
                self.wfile.write(reply.body[: len(reply.body) // 2])
                self.close_connection = True
            elif reply.drip_seconds:
                for byte in reply.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(reply.drip_seconds)
            else:
                self.wfile.write(reply.body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Be silent."""

    return Handler
