"""The published goals, in one fixed order, and the published splits.

Goals are listed as the original lists them and shuffled with its seed. What it draws from the
process-global stream, so that it differs from run to run, comes from streams of the product's id
here: goal 17 is the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import product as combinations_of
from math import prod
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from environments.webshop.goals import Goal
from environments.webshop.products import Product
from environments.webshop.published import (
    PublishedStock,
    clean,
    one_file,
    published_stock,
    read_about,
    read_json,
    stream,
    texts_of,
)
from environments.webshop.scoring import Wanted
from environments.webshop.shop import Chosen
from lamer_bench.errors import SettingError, TaskError
from lamer_bench.task import Split, Task

GoalSource = Literal["synthetic", "human"]

SHUFFLE_SEED = 233
SPLIT_STARTS: dict[Split, int] = {"test": 0, "val": 500, "train": 1500}
"""A split reaches up to where the next one starts."""
MOST_GOALS = 20_000_000
"""More than the published files ask for; a file that asks for more is damaged."""
_PRICE_LIMITS = [10.0 * step for step in range(1, 100)]
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class GoalList(NamedTuple):
    """The goals of a folder, in the order in which the splits count them."""

    goals: tuple[Goal, ...]

    def of(self, task: Task) -> Goal:
        """The goal of a task; `TaskError` where the split has not so many."""
        start = SPLIT_STARTS[task.split]
        end = min([later for later in SPLIT_STARTS.values() if later > start] + [len(self.goals)])
        if start + task.index >= end:
            raise TaskError(
                f"There is no task {task}: with the {len(self.goals)} goals of this folder the "
                f"split {task.split} has {max(0, end - start)} tasks."
            )
        return self.goals[start + task.index]


@cache
def published_goals(folder: Path, source: GoalSource) -> GoalList:
    """The goals of a folder, read once; `SettingError` where there are none."""
    stock = published_stock(folder)
    goals = _human_goals(folder, stock) if source == "human" else _synthetic_goals(folder, stock)
    if not goals:
        raise SettingError(f"{folder} holds no {source} goal for any of its products.")
    Random(SHUFFLE_SEED).shuffle(goals)
    if source == "human":
        goals = _in_listed_order(folder, goals)
    return GoalList(tuple(goals))


def _synthetic_goals(folder: Path, stock: PublishedStock) -> list[Goal]:
    """One goal for each combination of options of each product that has an instruction."""
    goals: list[Goal] = []
    for position in range(len(stock)):
        product = stock[position]
        about = stock.about.get(product.id)
        instruction, attributes = _instruction(about)
        if not instruction:
            continue
        options = sorted(product.options)
        if len(goals) + prod(len(option.values) for option in options) > MOST_GOALS:
            raise SettingError(f"{folder} is damaged: it asks for more than {MOST_GOALS} goals.")
        limit = _price_limit(product, "synthetic")
        for values in combinations_of(*(option.values for option in options)):
            chosen = tuple((option.name, v) for option, v in zip(options, values, strict=True))
            told = ", and ".join(f"{name}: {value}" for name, value in chosen)
            text = f"{instruction} with {told}" if told else instruction
            goals.append(_goal(position, product, text, attributes, values, limit))
    return goals


def _human_goals(folder: Path, stock: PublishedStock) -> list[Goal]:
    """The instructions that people wrote for a product."""
    written = read_about(folder, "items_human_ins*.json")
    goals = []
    for position in range(len(stock)):
        product = stock[position]
        entries = written.get(product.id, stock.instructions[position])
        for number, about in enumerate(entries if isinstance(entries, list) else ()):
            instruction, attributes = _instruction(about)
            if instruction:
                values = texts_of(about.get("instruction_options"))
                limit = _price_limit(product, f"human/{number}")
                text = instruction.strip(".")
                goals.append(_goal(position, product, text, attributes, values, limit))
    return goals


def _instruction(about: Any) -> tuple[str, tuple[str, ...]]:
    """Instruction and wanted attributes of an entry; an empty text where one of them is missing."""
    if not isinstance(about, dict) or not isinstance(about.get("instruction"), str):
        return "", ()
    attributes = texts_of(about.get("instruction_attributes"))
    return (clean(about["instruction"]), attributes) if attributes else ("", ())


def _goal(
    position: int,
    product: Product,
    text: str,
    attributes: tuple[str, ...],
    values: Sequence[str],
    limit: float | None,
) -> Goal:
    wanted = Wanted(
        title=product.title,
        path=product.path,
        query=product.query,
        attributes=attributes,
        options=tuple(values),
        price_limit=limit,
    )
    price = "" if limit is None else f", and price lower than {limit:.2f} dollars"
    return Goal(f"{text}{price}", wanted, position, _fulfilling(product, values))


def _fulfilling(product: Product, values: Sequence[str]) -> Chosen:
    """The options of a product that have one of the wanted values, with that value."""
    chosen = []
    for option in product.options:
        fitting = [value for value in values if value in option.values]
        chosen += [(option.name, value) for value in fitting[:1]]
    return tuple(chosen)


def _price_limit(product: Product, purpose: str) -> float | None:
    """The larger of two of the next four multiples of 10 above the price; None near 1,000."""
    above = [limit for limit in _PRICE_LIMITS if limit > product.price][:4]
    return max(stream(product.id, f"limit/{purpose}").sample(above, 2)) if above[1:] else None


def _in_listed_order(folder: Path, goals: list[Goal]) -> list[Goal]:
    """The order of the published ``human_goals.json``, where it is there; what it does not list
    follows."""
    file = one_file(folder, "human_goals.json")
    listed = read_json(file) if file else []
    if not isinstance(listed, list):
        raise SettingError(f"{file} is damaged: it holds no list of instructions.")
    places: dict[str, int] = {}
    for place, text in enumerate(listed):
        places.setdefault(_letters(str(text)), place)
    last = len(listed)
    return sorted(goals, key=lambda goal: places.get(_letters(_without_price(goal)), last))


def _without_price(goal: Goal) -> str:
    return goal.instruction.rpartition(", and price lower than ")[0] or goal.instruction


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())
