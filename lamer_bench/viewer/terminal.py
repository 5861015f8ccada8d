"""Stepping through trials in the terminal: one turn at a time, forwards and backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from lamer_bench.errors import SettingError
from lamer_bench.record import Trial
from lamer_bench.viewer.content import Content, first_difference, result

HELP = "Enter next, b back, e next episode, t next trial, a raw answer, q quit"
_NOT_SHOWN = "(what was seen here cannot be brought back)"


class Card(NamedTuple):
    """What the terminal shows at once."""

    episode: int
    """Index of the episode."""
    text: str
    answer: str
    """The raw answer behind it; empty for the end of an episode."""


def walk(
    content: Content,
    start: int,
    read: Callable[[str], str] = input,
    show: Callable[[str], None] = print,
) -> None:
    """Step through the trials from the row ``start`` on, until the reader quits or none is left."""
    trial, number = start, 0
    cards = open_trial(content, trial, show)
    while True:
        if cards:
            show(cards[number].text)
        word = _read(read, f"[{HELP}] ")
        if word in ("q", "quit"):
            return
        if word == "a" and cards:
            show(f"\n{printable(cards[number].answer) or '(no answer here)'}")
        elif word == "b":
            number = max(0, number - 1)
        elif word != "t":
            number = _after_episode(cards, number) if word == "e" else number + 1
        if word == "t" or number >= len(cards):
            trial, number = trial + 1, 0
            if trial >= len(content.rows):
                show("That was the last trial.")
                return
            cards = open_trial(content, trial, show)


def open_trial(content: Content, index: int, show: Callable[[str], None]) -> list[Card]:
    """Say what a trial is; returns its cards."""
    row = content.rows[index]
    stored = content.stored(index)
    memory = "memory wiped" if row["kind"] == "control" else f"memory {row['memory']}"
    show(f"\n=== {row['task']}, {row['kind']}, repeat {row['repeat']}, {memory}: {result(row)} ===")
    if row["void"]:
        show(printable(row["void"]))
    return list(_cards(stored, content.texts(stored)))


def find_row(content: Content, task: str | None, kind: str, repeat: int) -> int:
    """The row of a trial; the first row when no task is named.

    Raises:
        SettingError: the run has no such trial, or none at all.
    """
    if not content.rows:
        raise SettingError("The run has no trials yet; the command that began it goes on with it.")
    if task is None:
        return 0
    for index, row in enumerate(content.rows):
        if (row["task"], row["kind"], row["repeat"]) == (task, kind, repeat):
            return index
    tasks = dict.fromkeys(row["task"] for row in content.rows)
    first = next(iter(tasks), "none")
    raise SettingError(
        f"The run has no {kind} {repeat} of {task}; it has {len(tasks)} tasks, from {first} on."
    )


def _cards(trial: Trial, texts: list[list[str | None]]) -> Iterator[Card]:
    for index, episode in enumerate(trial.episodes):
        differs = first_difference(trial.episodes, index)
        for number, turn in enumerate(episode.turns):
            mark = f"   (first move unlike episode {index})" if number == differs else ""
            move = "not an action" if turn.action is None else turn.action
            yield Card(
                index,
                f"\n--- episode {index + 1}, turn {number + 1}{mark} ---\n"
                f"{printable(texts[index][number] or _NOT_SHOWN)}\n"
                f"> {printable(move)}   reward {turn.reward:g}",
                turn.answer,
            )
        end = episode.end.replace("turn_limit", "out of turns")
        note = episode.reflection
        written = f"\n\nReflection:\n{printable(note.text)}" if note is not None else ""
        seen = printable(texts[index][-1] or _NOT_SHOWN)
        yield Card(index, f"\n--- episode {index + 1}, {end} ---\n{seen}{written}", "")


def _after_episode(cards: list[Card], number: int) -> int:
    """The first card of the next episode."""
    later = (at for at in range(number, len(cards)) if cards[at].episode > cards[number].episode)
    return next(later, len(cards))


def _read(read: Callable[[str], str], prompt: str) -> str:
    try:
        return read(prompt).strip().lower()
    except (EOFError, KeyboardInterrupt):
        return "q"


def printable(text: str) -> str:
    """Text without control characters: an agent's answer must not command the terminal."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}"
                   for one in text)  # fmt: skip
