"""A large folder's work, shared between processes: reading run by run, drawing figure by figure.

A small one is done in this process, because another one needs a second to start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import TypeVar

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


class Workers:
    """Does things side by side, or one after the other where there is one process only."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._pool: Executor | None = None
        if processes > 1:
            self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))

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

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The function's results in the order of the items; the first error is raised."""
        return list((self._pool or _Here()).map(function, items))


class _Here:
    """This process."""

    map = staticmethod(map)
