"""Promises: how they are checked, how a broken one is named, and what both contracts check with.

A check is a function of what is under test; its docstring is the promise.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from lamer_bench.agent import View
from lamer_bench.errors import AgentError, ContractError, LamerBenchError

NONSENSE: tuple[str, ...] = (
    "",
    " \n\t",
    "<action></action>",
    "<action>",
    "</action><action",
    '<b>&lt;action&gt;</b> <!-- <action> --> {"action": null}',
    "\x00\x1b[31m\x07\u202e\u200b",
    "%s%n{0}\\'; DROP TABLE--",
    "(999999999999999999999999,-1)",
    "\u0661\u0662\u00b2 \u2460 \u4e2d\u6587 \U0001f4a3",
    "x" * 1_000_000,
    "<action>" * 200_000,
    "0" * 1_000_000,
)
"""Answers that a run must survive. An environment may read one as an action; it must never
raise."""


def kept_promises(name: str, subject: Any, checks: Iterable[Callable[[Any], None]]) -> list[str]:
    """The promises that ``subject`` keeps, all of them; `ContractError` names the first broken."""
    passed = []
    for one in checks:
        promise = " ".join((one.__doc__ or one.__name__).split())
        try:
            one(subject)
        except ContractError as error:
            raise ContractError(_line(name, str(error), promise)) from None
        except (Exception, SystemExit) as error:
            if isinstance(error, LamerBenchError) and not isinstance(error, AgentError):
                raise
            what = f"raised {type(error).__name__}: {error}"
            raise ContractError(_line(name, what, promise)) from error
        passed.append(promise)
    return passed


def _line(name: str, what: str, promise: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in what)
    return f"{name}: {printable.rstrip('.')}. The promise: {promise}"


def require(is_kept: bool, message: str) -> None:
    """Break the promise with ``message`` unless it is kept."""
    if not is_kept:
        raise ContractError(message)


@contextmanager
def guarded_randomness(seed: int, who: str) -> Iterator[None]:
    """Seed Python's and NumPy's global streams, restore them, and see that nobody touched them."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is what is looked at)
    try:
        random.setstate(random.Random(seed).getstate())
        np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
        marks = random.getstate(), _numpy_state()
        yield
        require(marks[0] == random.getstate(), f"{who} used Python's global random state.")
        require(marks[1] == _numpy_state(), f"{who} used NumPy's global random state.")
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def _numpy_state() -> str:
    return repr(np.random.get_state(legacy=False)["state"])  # noqa: NPY002


def shown_fields(view: View) -> list[str]:
    """What a view shows: all but the agent's own scratch pad and the protocol's stream."""
    return [field.name for field in fields(view) if field.name not in ("state", "make_rng")]
