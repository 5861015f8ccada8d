"""Asker: puts questions to an agent that may raise, hang, or answer with something that is not
text.

The agent answers in a helper thread, because a thread can be left behind and the main thread
cannot. A batch that fails is asked again view by view, so that only the trials that fail alone
become void.
"""

from __future__ import annotations

import sysconfig
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from lamer_bench.agent import Agent, Answer, View
from lamer_bench.errors import AgentError, LamerBenchError
from lamer_bench.record import MOST_COUNTED, Limits, Void

Question = Literal["act", "reflect"]

_MAX_HANGS = 3
"""After so many views in succession that were not answered in time, the rest of a batch is not
asked."""
_CLOSING_SECONDS = 2.0
_MESSAGE_CHARACTERS = 500
_INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_INSTALLED.append(str(Path(__file__).parent))


class Asker:
    """Asks one agent, within the limits of its run; answers are `Answer`, failures are `Void`."""

    def __init__(self, agent: Agent, limits: Limits) -> None:
        self._agent = agent
        self._limits = limits
        self._helper: _Helper | None = None
        self._largest_batch: int | None = None

    def ask(
        self,
        question: Question,
        views: Sequence[View],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[Answer | Void]:
        """One reply for each view; ``meanwhile`` is called while the agent is at work."""
        replies: list[Answer | Void] = []
        size = self._largest_batch or max(1, len(views))
        for start in range(0, len(views), size):
            replies += self._ask_batch(question, views[start : start + size], meanwhile)
        return replies

    def close(self) -> None:
        """End the helper thread; a call that is under way gets a moment to return."""
        if self._helper is not None:
            self._helper.calls.put(None)
            self._helper.join(_CLOSING_SECONDS)
            self._helper = None

    def _ask_batch(
        self, question: Question, views: Sequence[View], meanwhile: Callable[[], None]
    ) -> list[Answer | Void]:
        answers = self._try(question, views, meanwhile)
        if not isinstance(answers, Exception):
            return answers
        if isinstance(answers, TimeoutError):
            if len(views) == 1:
                return [as_void(answers)]
            self._largest_batch = len(views) // 2  # perhaps it is not hung but slow
        return self._ask_one_by_one(question, views)

    def _ask_one_by_one(self, question: Question, views: Sequence[View]) -> list[Answer | Void]:
        replies: list[Answer | Void] = []
        num_hangs = 0
        for view in views:
            if num_hangs == _MAX_HANGS:
                replies.append(Void(type="TimeoutError", message="not asked: the agent hangs"))
                continue
            answers = self._try(question, [view])
            num_hangs = num_hangs + 1 if isinstance(answers, TimeoutError) else 0
            replies.append(as_void(answers) if isinstance(answers, Exception) else answers[0])
        return replies

    def _try(
        self,
        question: Question,
        views: Sequence[View],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[Answer | Void] | Exception:
        """All replies, or what the agent raised; `TimeoutError` when it took too long."""
        call = _Call(getattr(self._agent, question), views)
        if self._agent.is_interactive:
            meanwhile()
            call.carry_out()
        else:
            if self._helper is None:
                self._helper = _Helper()
            self._helper.calls.put(call)
            meanwhile()
            seconds = self._seconds(len(views))
            if not call.done.wait(seconds):
                self._helper.calls.put(None)  # it ends after this call, if that ever returns
                self._helper = None
                return TimeoutError(f"no answer to {len(views)} question(s) within {seconds:g} s")
        if isinstance(call.error, KeyboardInterrupt):
            raise call.error
        if isinstance(call.error, Exception):
            return call.error
        if call.error is not None:
            return AgentError(f"raised {type(call.error).__name__}: {call.error}")
        return call.replies

    def _seconds(self, num_views: int) -> float:
        turn_seconds = self._limits.turn_seconds
        return min(num_views * turn_seconds, max(turn_seconds, self._limits.trial_seconds))


def read_answers(result: Any, num_views: int) -> list[Answer | Void]:
    """Check what an agent returned for ``num_views`` views: a single odd answer is a void, a result
    that cannot be told apart by views raises `AgentError`."""
    if isinstance(result, str | bytes) or not hasattr(result, "__iter__"):
        kind = type(result).__name__
        raise AgentError(f"returned {kind}; a list with one answer for each view is expected")
    answers = list(result)
    if len(answers) != num_views:
        raise AgentError(f"returned {len(answers)} answers to {num_views} views")
    return [_read_answer(answer) for answer in answers]


def _read_answer(answer: Any) -> Answer | Void:
    if isinstance(answer, str):
        return Answer(answer)
    if isinstance(answer, AgentError):
        return as_void(answer)
    if not isinstance(answer, Answer) or not isinstance(answer.text, str):
        kind = type(answer.text if isinstance(answer, Answer) else answer).__name__
        return as_void(AgentError(f"answered with {kind}; an answer is text"))
    for count in (answer.prompt_tokens, answer.answer_tokens):
        if not isinstance(count, int) or not 0 <= count <= MOST_COUNTED:
            told = f"counted {repr(count)[:20]} tokens; a count is from 0 to {MOST_COUNTED}"
            return as_void(AgentError(told))
    return answer


def as_void(error: BaseException) -> Void:
    """An exception as a trial stores it: one line of printable text, with the place in the code of
    the agent or environment that raised it."""
    text = " ".join(str(error).split())[:_MESSAGE_CHARACTERS]
    if not isinstance(error, LamerBenchError) and (place := _place(error)):
        text = f"{text} ({place})"
    message = "".join(character if character.isprintable() else "?" for character in text)
    return Void(type=type(error).__name__, message=message)


def _place(error: BaseException) -> str:
    """``agent.py, line 12``: the innermost line that is of no installed package; "" if none is."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename)
        if file.is_file() and not any(file.is_relative_to(folder) for folder in _INSTALLED):
            place = f"{file.name}, line {frame.lineno}"
    return place


class _Call:
    """One call of the agent, and how it went."""

    def __init__(self, function: Callable[[Sequence[View]], Any], views: Sequence[View]) -> None:
        self.function = function
        self.views = views
        self.done = threading.Event()
        self.replies: list[Answer | Void] = []
        self.error: BaseException | None = None

    def carry_out(self) -> None:
        try:
            self.replies = read_answers(self.function(self.views), len(self.views))
        except BaseException as error:
            self.error = error
        self.done.set()


class _Helper(threading.Thread):
    """Carries out calls until it is given None. A daemon: a hung agent must not keep the process
    alive."""

    def __init__(self) -> None:
        super().__init__(name="agent", daemon=True)
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            call.carry_out()
