"""`lamer-bench serve`: the application behind waitress, and workers beside it that are started
again whenever they end."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import waitress

from lamer_bench.errors import SettingError
from leaderboard.app import create_app
from leaderboard.config import Config
from leaderboard.database import Database
from leaderboard.worker import work

_THREADS = 8
_URL_VARIABLE = "LAMER_BENCH_DATABASE_URL"


def serve(
    config: Config,
    host: str,
    port: int,
    announce: Callable[[str], None],
    *,
    workers: int | None = None,
) -> None:
    """Serve until interrupted, with so many workers, or one for each core; ``announce`` is told the
    address."""
    app = create_app(config)
    try:
        server: Any = waitress.create_server(
            app,
            host=host,
            port=port,
            threads=_THREADS,
            ident="lamer-bench",
            max_request_body_size=config.most_bytes,
            channel_timeout=60,
            clear_untrusted_proxy_headers=not config.url,
        )
    except ValueError as error:
        raise SettingError(
            f"No address is called {host!r}. Give another with --host, such as 127.0.0.1."
        ) from error
    except OSError as error:
        raise SettingError(
            f"Port {port} cannot be used: {error.strerror or error}. Give another with --port."
        ) from error
    keepers = [WorkerKeeper(config) for _ in range(workers or len(os.sched_getaffinity(0)))]
    for keeper in keepers:
        keeper.start()
    address = getattr(server, "effective_port", port)
    announce(f"http://{'localhost' if host in ('', '0.0.0.0', '127.0.0.1') else host}:{address}")
    try:
        server.run()
    finally:
        for keeper in keepers:
            keeper.stop()


class WorkerKeeper(threading.Thread):
    """Keeps one worker process running; it ends with its parent, even when that is killed."""

    def __init__(self, config: Config) -> None:
        super().__init__(daemon=True)
        self._command = [
            *(sys.executable, "-m", "leaderboard.serving"),
            *("--folder", str(config.folder.resolve()), "--parent", str(os.getpid())),
        ]
        # a URL may hold a password, which the list of processes would show
        self._environment = os.environ | {_URL_VARIABLE: config.database_url}
        self._stopped = threading.Event()
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            self._worker = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, env=self._environment
            )
            while self._worker.poll() is None and not self._stopped.wait(0.2):
                pass
            self._stopped.wait(0.5)

    def stop(self) -> None:
        """End the worker."""
        self._stopped.set()
        if self._worker is not None and self._worker.poll() is None:
            self._worker.terminate()
            self._worker.wait()


def main() -> None:
    """The worker's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--lease-seconds", type=float, default=Config.lease_seconds)
    options = parser.parse_args()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the parent, which ends this one
    config = Config(
        database_url=os.environ[_URL_VARIABLE],
        folder=options.folder,
        lease_seconds=options.lease_seconds,
    )
    database = Database(config.database_url)
    work(config, database, lambda: not stopped and os.getppid() == options.parent)


if __name__ == "__main__":
    main()
