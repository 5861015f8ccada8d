"""Players and runs for the viewer's tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from lamer_bench.agent import Agent, Answer, View
from lamer_bench.record import RunFolder, Trial, Void
from lamer_bench.viewer import Content
from lamer_bench.viewer.server import Server
from tests.recorded import record_trials, settings_for, write_run

HOSTILE = (
    "</script><script>document.title = 'owned'</script>"
    "<img src=x onerror=\"document.title = 'owned'\">"
    "<!-- \u2028 ${alert(1)} \\u003c -->"
)
"""What an agent may write; none of it may run or end an element."""


class Opener(Agent):
    """Opens the board's cells in an order that shifts with each attempt; now and then it answers
    with something hostile that is no action."""

    name: ClassVar[str] = "opener"

    def act(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [Answer(self.answer(view), 40, 3) for view in views]

    def answer(self, view: View) -> str:
        if view.turn == 0 and view.episode == 0:
            return HOSTILE
        ways = view.admissible or ["up"]
        first = view.episode * 5 + view.turn
        return f"I open it. <action>{ways[first % len(ways)]}</action>"

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | str]:
        return [Answer(f"Note {view.episode + 1}: {HOSTILE}", 50, 9) for view in views]


def write_example(path: Path, environment: str = "minesweeper-easy", **changes: Any) -> RunFolder:
    """A run of `Opener`; its last trial is void."""
    settings = settings_for(environment, agent="opener", **{"tasks": 6, **changes})
    trials = record_trials(settings, Opener())
    broken = Trial.of(
        trials[-1].key,
        memory=trials[-1].memory,
        fingerprint="",
        episodes=[],
        void=Void(type="ConnectionError", message="endpoint down"),
    )
    return write_run(path, settings, [*trials[:-1], broken])


@contextmanager
def served(folder: RunFolder) -> Iterator[Server]:
    """A server of the run, as long as the block lasts."""
    with Server(Content.of(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
