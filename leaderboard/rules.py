"""Which runs may stand on a board: what is compared must have been played alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lamer_bench.errors import RecordError
from lamer_bench.record import RunFolder, Settings
from lamer_bench.suites import DEFAULT_SUITE, load_suite

EPISODES = 3
CONTROL_EPISODES = 3
FEWEST_TASKS = 100
SPLIT = "test"


def fault_of(folders: Sequence[RunFolder], *, in_bundle: bool = True) -> str | None:
    """Why these runs are no entry, in one line; None when they are one.

    ``in_bundle``: the folders are named after their environments.
    """
    first: Settings | None = None
    for folder in folders:
        try:
            settings = folder.manifest().settings
        except RecordError as error:
            return f"{folder.path.name}: {str(error).replace(str(folder.path), 'the run')}"
        for fault in (*_faults(settings), *_unlike(first or settings, settings)):
            return f"{folder.path.name}: {fault}"
        if in_bundle and settings.environment != folder.path.name:
            return f"{folder.path.name}: the run is on another environment."
        first = first or settings
    return None


def _faults(settings: Settings) -> Iterator[str]:
    suite = load_suite(DEFAULT_SUITE)
    if settings.suite is None:
        yield "it belongs to no suite."
    elif (settings.suite.name, settings.suite.version) != (suite.name, suite.version):
        yield (
            f"it was made on suite {settings.suite.name[:40]} version {settings.suite.version}; "
            f"this board takes {suite.name} version {suite.version}."
        )
    if not settings.is_ranked:
        yield "its player is told hidden state and cannot be ranked."
    if settings.split != SPLIT:
        yield f"it is on the split {settings.split}; the board takes {SPLIT}."
    if settings.episodes != EPISODES:
        yield f"its trials have {settings.episodes} episodes; the board takes {EPISODES}."
    if settings.control_episodes != CONTROL_EPISODES:
        yield (
            f"it has {settings.control_episodes} control episodes for each task; "
            f"the board takes {CONTROL_EPISODES}."
        )
    if settings.tasks < FEWEST_TASKS:
        yield f"it has {settings.tasks} tasks; the board takes {FEWEST_TASKS} or more."


def _unlike(first: Settings, other: Settings) -> Iterator[str]:
    for name in ("agent", "memory", "seed"):
        if getattr(first, name) != getattr(other, name):
            yield f"its {name} is not that of the other runs; a bundle is of one agent."
