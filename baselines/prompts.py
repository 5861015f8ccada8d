"""Prompts: a View as text.

`compact` is what the small shipped models read: what the memory holds, the observation, and the
beginning of the answer. The page of rules, constant for an environment, is left out, and so are
the admissible actions. Of earlier attempts it shows, oldest first, their actions and what the last
one led to (memory ``history`` and ``both``), and then the last reflection (``reflection`` and
``both``). A reflection supersedes the ones before it: it is written with the former one in view,
and repeating all of them would triple the prompt. A shop's pages are too long to be repeated, and a
board drawn in rows is read for some sizes only: `webshop_prompt`, `minesweeper_prompt` and
`sokoban_prompt` say what is shown of them.

`chat` is what any other language model reads, in the order of the LaMer paper (arXiv 2512.16848):
role and rules, how the task begins, earlier attempts, this attempt, possible actions, instruction.
What is the same for many prompts comes first, so that it need not be read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from baselines import minesweeper_prompt, sokoban_prompt, webshop_prompt
from lamer_bench.agent import PastEpisode, PastTurn, View

Message = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``"""

PAUSE = "1 2 3 4 5 6"
"""Constant tokens before an action: room in which a causal network, having read the whole
observation, works out what it needs (pause tokens, arXiv 2310.02226; here trained to hold what is
true of a board's rows)."""


def compact(view: View, kind: Literal["act", "reflect"]) -> str:
    """The prompt of a small model; the model's text continues it."""
    begun = lead_in(view, kind)
    if view.family.startswith("minesweeper"):
        return minesweeper_prompt.prompt(view, kind, begun)
    if view.family.startswith("webshop"):
        parts = webshop_prompt.prompt(view, kind)
    elif view.family.startswith("sokoban"):
        parts = sokoban_prompt.prompt(view, kind)
    else:
        parts = _as_it_is(view)
    parts.append(f"{PAUSE} {begun}" if kind == "act" else begun)
    return "\n".join(parts)


def _as_it_is(view: View) -> list[str]:
    """What is remembered, and the observation as it is."""
    parts = [text for episode in view.earlier for text in _history(episode)]
    if view.earlier and view.earlier[-1].reflection:
        parts.append(view.earlier[-1].reflection)
    return [*parts, view.observation]


def spoken(view: View, kind: Literal["act", "reflect"], text: str) -> str:
    """The answer of a small model that continued `compact` with ``text``: short names give way to
    the words of the shop, and the directions of a mirrored room to its own."""
    if view.family.startswith("webshop"):
        text = webshop_prompt.spoken(view, kind, text)
    elif view.family.startswith("sokoban"):
        text = sokoban_prompt.spoken(view, text)
    return lead_in(view, kind) + text


def _history(episode: PastEpisode) -> list[str]:
    """An earlier attempt where the memory keeps it: its canonical actions, turn by turn, with ``-``
    for an answer that was none, and its final observation."""
    if not episode.turns:
        return []
    actions = " / ".join(turn.action or "-" for turn in episode.turns)
    return [f"Actions: {actions}", episode.final_observation]


def lead_in(view: View, kind: Literal["act", "reflect"]) -> str:
    """How the answer begins: what the prompt ends with and the model need not write.

    In Sokoban an answer names the push that it is after before it names the moves: ``push (3,4) up
    <action>left up</action>``.
    """
    if kind == "reflect":
        return "<remark>"
    return "push" if view.family.startswith("sokoban") else "<action>"


CLOSING_TAGS = {"act": "</action>", "reflect": "</remark>"}

# Chat models -------------------------------------------------------------------------------------

CHAT_INSTRUCTION = """\
Think first, in a few sentences: what the observations tell you, what you still have to find out, \
what to do next. Then end your answer with exactly one action: <action>...</action>. {hint}"""

CHAT_LOOK_BACK = """\
You have not solved the task, and you will start it again from the same state. Write a note to \
yourself for the next attempt, of 150 words at most: what you know of this task now, which \
decision made the attempt fail, and what you will do instead. Answer with <remark>your note\
</remark>."""

KEPT_CHARACTERS = 1_000
"""Of a thought or a reflection that stays in a prompt: the end of a longer one is cut off."""
KEPT_INVALID_CHARACTERS = 200
"""Of an answer in which no action could be read."""

_REMARK = re.compile(r"<remark>(.*?)(?:</remark>|\Z)", re.DOTALL | re.IGNORECASE)


def chat(view: View, kind: Literal["act", "reflect"]) -> list[Message]:
    """The prompt of a chat model: a system and a user message. Thoughts of earlier turns are not in
    it, only what was done and what it led to."""
    return [
        {"role": "system", "content": f"You play a game in text. Its rules:\n\n{view.rules}"},
        {"role": "user", "content": "\n\n".join(_chat_parts(view, kind))},
    ]


def _chat_parts(view: View, kind: Literal["act", "reflect"]) -> Iterator[str]:
    first = view.turns[0].observation if view.turns else view.observation
    yield f"The task begins like this:\n{first}"
    for number, past in enumerate(view.earlier):
        yield f"Attempt {number + 1} at this task, which was not solved."
        yield from _trajectory(past.turns, past.final_observation)
        if past.reflection:
            yield f"Your note after it: {remark(past.reflection)}"
    if view.memory != "none":
        yield f"Attempt {view.episode + 1} of {view.num_episodes} at this task."
    yield from _trajectory(view.turns, view.observation)
    if kind == "reflect":
        yield CHAT_LOOK_BACK
        return
    yield f"It is turn {view.turn + 1} of {view.turn_limit}."
    if view.admissible:
        yield f"Possible now: {'; '.join(view.admissible)}"
    yield CHAT_INSTRUCTION.format(hint=view.action_hint)


def _trajectory(turns: Sequence[PastTurn], last: str) -> Iterator[str]:
    """Each action with the observation that it led to."""
    after = [turn.observation for turn in turns[1:]] + [last]
    for number, (turn, observation) in enumerate(zip(turns, after, strict=False)):
        said = f"<action>{turn.action}</action>"
        if turn.action is None:
            said = f"{visible(turn.answer)[:KEPT_INVALID_CHARACTERS]} (not an action)"
        yield f"Turn {number + 1}: {said}\n{observation}"


def visible(answer: str) -> str:
    """An answer without the reasoning that a model marks as hidden, finished or cut off."""
    return answer.rpartition("</think>")[2].partition("<think>")[0].strip()


def remark(reflection: str) -> str:
    """What stands in the last ``<remark>``, or the whole text; at most `KEPT_CHARACTERS`."""
    shown = visible(reflection)
    found = _REMARK.findall(shown)
    return (found[-1] if found else shown).strip()[:KEPT_CHARACTERS]
