"""A large folder's work, shared between processes: reading run by run, drawing figure by figure.

A small one is done in this process, because another one needs a second to start.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Generic, TypeVar

from lamer_bench.record import RunFolder

BYTES_WORTH_A_PROCESS = 20_000_000
"""Of trials: about two seconds of reading."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def processes_for(runs: Iterable[Path], most: int) -> int:
    """As many processes as the runs are worth, at most ``most``."""
    files = (RunFolder(run).trials_path for run in runs)
    size = sum(file.stat().st_size for file in files if file.exists())
    return max(1, min(most, size // BYTES_WORTH_A_PROCESS))


class Parcel(Generic[Item]):
    """Something large that many tasks need: it is packed once, and unpacked once in a process."""

    def __init__(self, content: Item) -> None:
        self._content = content
        self._packed = b""

    def content(self) -> Item:
        """What is in it."""
        return self._content

    def __reduce__(self) -> tuple[Any, ...]:
        self._packed = self._packed or pickle.dumps(self._content, pickle.HIGHEST_PROTOCOL)
        return _unpacked, (self._packed,)


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Parcel[Any]:
    return Parcel(pickle.loads(packed))


class Workers:
    """Does things side by side, in this process and in others."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: Executor | None = None
        if processes > 1:
            self._pool = ProcessPoolExecutor(processes - 1, mp_context=get_context("spawn"))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def prepare(self, function: Callable[[], object]) -> None:
        """Have the other processes start, with this, while this one goes on."""
        if self._pool is not None:
            self._pool.submit(function)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The function's results in the order of the items; the first error is raised.

        Each process takes the next item when it has done its own.
        """
        if self._pool is None:
            return [function(item) for item in items]
        pool, waiting, handing_over = self._pool, deque(range(len(items))), Lock()
        asked: dict[int, Future[Result]] = {}
        here: dict[int, Result] = {}

        def ask(_: object = None) -> None:
            with handing_over:
                if not waiting:
                    return
                number = waiting.popleft()
                asked[number] = pool.submit(function, items[number])
            asked[number].add_done_callback(ask)

        for _ in range(self._processes - 1):
            ask()
        while waiting:
            with handing_over:
                number = waiting.popleft() if waiting else None
            if number is not None:
                here[number] = function(items[number])
        with handing_over:  # nothing is on its way any more
            pass
        return [
            here[number] if number in here else asked[number].result()
            for number in range(len(items))
        ]
