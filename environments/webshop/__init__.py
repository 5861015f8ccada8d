"""WebShop: find the product that an instruction describes, choose its options, and buy it.

The one decision to know: pages are data (`pages`), and the text that an agent reads and the HTML
that `app` serves are both made of them. The environment itself needs neither Flask nor a browser.
`goods` and `catalogue` make the products, `goals` the instructions, `search` finds, `scoring` pays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from environments.webshop.goals import Goal, Level, Reward, draw
from environments.webshop.nouns import SPACY_MODEL, Tagger, finder
from environments.webshop.pages import Observation, Page
from environments.webshop.published_goals import GoalSource, published_goals
from environments.webshop.shop import SIZES, Shop, Size, own_shop, own_stock, published_shop
from environments.webshop.visit import Visit, certificate, read_action
from lamer_bench.env import Outcome, TextEnv
from lamer_bench.errors import SettingError, TaskError
from lamer_bench.task import Split, Task

PERFECT_REWARD = 10.0
"""What ``reward="all_or_nothing"`` pays for a perfect purchase."""


class WebShop(TextEnv):
    """Find the product that an instruction describes, choose its options, and buy it.

    ## Action
    ``search[words]`` on the search page; elsewhere ``click[text]`` with the text of a button, of a
    product's id or of an option on the present page: ``click[buy now]``, ``click[b61803]``. Case
    and spaces do not matter. A search is cut to 200 characters; one without words, a search where
    no search field is, and a click on what is not on the page are not actions.

    ## Observation
    The visible texts of the page in order, joined by `` [SEP] ``; every page but the last repeats
    the instruction. ``observation="text_rich"`` puts each on its line and marks buttons:
    ``[button] Buy Now [button_]``. A result page shows ten of at most 50 products by id, title and
    price; an item's page its options, price and rating; description, features, reviews and
    attributes are pages of their own behind it. The search reads titles, categories and options,
    not the pages behind. After buying, the last page shows the score.

    ## Reward
    The published one, paid on buying: type x (attributes + options + price) / (wanted attributes +
    wanted options + 1), from 0 to 1. Type is 1 for the right kind of product and down to 0 for
    another; attributes and options count those that are as wanted; price is 1 within the limit. The
    components are in ``info["reward_parts"]``. ``reward="all_or_nothing"`` pays 10 for a perfect
    purchase and 0 for any other. -0.1 for an answer that is not an action.

    Type compares the nouns of two titles, which the original asks spaCy for. Here a rule finds
    them; ``nouns="spacy"`` is the exact mode. Measured with the small English model on 3,000 random
    purchases each, the two score differently for 2.5 % of the published products (7.6 % where they
    share a category) and 0.7 % of our own, by at most 0.45, and never in whether it is won.

    ## Ends
    With a purchase: won where its reward is 1.0, lost otherwise. Else out of turns.

    ## Levels
    `easy` asks for one attribute that the title tells and one option, with a loose price limit.
    `medium` picks one of four near-duplicates by what two pages behind it tell. `hard` picks one of
    eight that differ in three attributes, each told on another page, with two options and a tight
    price limit: an attempt is too short to read them all. `ood` sells goods of other departments
    and asks in other words. `paper` is the published setting: goals over all products, 12 turns,
    all or nothing. Our own catalogue has 1,000 products (``size="large"``: 100,000);
    ``--data FOLDER`` (``data=`` in Python) plays `paper` on the published files instead, in a run
    that belongs to no suite.

    ## Splits
    A goal's product with its wanted attributes and options is its content, however it is phrased
    and whatever the price limit. Products are shared between the splits: of the first 200 test
    tasks of `hard` 70 % ask for a product of the first 500 train tasks (`easy` 93 %, `medium` 85 %,
    `paper` 43.5 %), and 43.5 % for the same attributes of it (75.5 %, 62.5 %, 8.5 %). A
    model that learns a catalogue's products by heart gains from that; `ood` sells goods that no
    train task has. With ``data`` the split is the published one, by position: test
    tasks 0 to 499 are the published test range.

    ## Doors
    ``lamer-bench play webshop-easy --web`` serves the same pages to a person's own browser.
    ``webshop-browser-easy`` and its sisters play them in a headless Chromium, click by click: the
    same tasks, observations and rewards, a few turns a second. Both need the extra ``browser``, the
    second also Debian's ``chromium`` and ``chromium-driver``. Where Chromium stops in the middle of
    a run, the trials under way become void and the others go on in a new one; none is left behind,
    not even by a run that is killed.
    """

    family: ClassVar[str] = "webshop"
    levels: ClassVar[dict[str, Level]] = {
        "easy": Level(
            "few near-duplicates, 1 attribute in the title, 1 option",
            turn_limit=10,
            line_sizes=(1, 2),
            title_attributes=1,
            page_attributes=0,
            options=(1, 1),
            price="loose",
        ),
        "medium": Level(
            "4 near-duplicates, 3 attributes, 1 option",
            turn_limit=20,
            line_sizes=(4,),
            title_attributes=1,
            page_attributes=None,
            options=(1, 1),
            price="tight",
        ),
        "hard": Level(
            "8 near-duplicates, 4 attributes, 2 options, tight price",
            turn_limit=15,
            line_sizes=(8,),
            title_attributes=1,
            page_attributes=None,
            options=(2, 2),
            price="tight",
        ),
        "ood": Level(
            "other departments, paraphrased, 4 or 5 near-duplicates",
            turn_limit=15,
            line_sizes=(4, 5),
            title_attributes=1,
            page_attributes=None,
            options=(1, 1),
            price="near",
            phrasing="paraphrased",
            sells="held_out",
        ),
        "paper": Level(
            "all products, 2 attributes, all options, 12 turns, all or nothing",
            turn_limit=12,
            line_sizes=(8, 5, 4, 2, 1),
            title_attributes=1,
            page_attributes=1,
            options=(2, 2),
            price="published",
            phrasing="published",
            reward="all_or_nothing",
        ),
    }
    action_hint: ClassVar[str] = (
        "On the search page write <action>search[words]</action>, elsewhere click a text of the "
        "page: <action>click[buy now]</action>."
    )
    invalid_reward: ClassVar[float] = -0.1
    packages: ClassVar[tuple[str, ...]] = ("bm25s",)

    def __init__(
        self,
        level: str = "easy",
        *,
        split: Split = "test",
        render_mode: str | None = None,
        observation: Observation = "text",
        reward: Reward | None = None,
        size: Size = "light",
        data: str | Path | None = None,
        goals: GoalSource = "synthetic",
        nouns: Tagger = "rule",
        spacy_model: str = SPACY_MODEL,
    ) -> None:
        """Open the shop.

        Args:
            level: see ``levels``.
            split: what ``reset(seed=n)`` draws from.
            render_mode: ``ansi`` or None.
            observation: ``text`` or ``text_rich``.
            reward: ``graded`` or ``all_or_nothing``; the level's own unless given.
            size: ``light`` or ``large``; the tasks of the large shop are others, and so is the
                environment id, ``webshop-easy_large``.
            data: folder with the published files, for level ``paper`` only; the environment id is
                then ``webshop-original`` or, for human goals, ``webshop-original_human``.
            goals: ``synthetic`` or ``human``, for ``data`` only.
            nouns: how titles are compared: by a ``rule``, or with ``spacy`` as the original does.
            spacy_model: the model for ``spacy``.
        """
        super().__init__(level, split=split, render_mode=render_mode)
        self.board = self.levels[level]
        self.turn_limit = self.board.turn_limit
        self.form = _one_of("observation", observation, ("text", "text_rich"))
        self.reward = _one_of("reward", reward or self.board.reward, ("graded", "all_or_nothing"))
        self._size: Size = _one_of("size", size, tuple(SIZES))
        self._nouns = finder(_one_of("nouns", nouns, ("rule", "spacy")), spacy_model)
        self._data = None if data is None else Path(data)
        self._source: GoalSource = _one_of("goals", goals, ("synthetic", "human"))
        self.environment = self._environment_id()
        self._opened: Shop | None = None
        self._goal: Goal
        self._solution: list[str] | None
        self._visit: Visit

    def _environment_id(self) -> str:
        if self._data is None:
            if self._source != "synthetic":
                raise SettingError('goals="human" needs data=FOLDER with the published files.')
            return f"{self.family}-{self.level}{'_large' if self._size == 'large' else ''}"
        if self.level != "paper" or self._size != "light":
            raise SettingError(
                "The published data has no levels and one size: give data=FOLDER with level "
                "'paper' and no size."
            )
        return f"{self.family}-original{'_human' if self._source == 'human' else ''}"

    @property
    def shop(self) -> Shop:
        """The shop, opened when it is first needed; one for all environments that play in it."""
        if self._opened is None:
            if self._data is None:
                self._opened = own_shop(self.board.sells, self._size)
            else:
                self._opened = published_shop(self._data)
        return self._opened

    def prepare(self) -> None:
        """Open the shop, so that damaged or missing data are told before a run."""
        _ = self.shop

    # The instance --------------------------------------------------------------------------------

    def generate(self, rng: Random) -> bool:
        goal = draw(own_stock(self.board.sells, self._size), self.board, rng)
        return goal is not None and self._take(goal)

    def load(self, task: Task) -> None:
        """Draw the instance of ``task``; with ``data`` it is the goal at the task's place."""
        if self._data is None:
            super().load(task)
            return
        if task.environment != self.environment:
            raise TaskError(f"Task {task} does not belong to environment {self.environment}.")
        self._take(published_goals(self._data, self._source).of(task))
        self.task = task
        self._over = True

    def _take(self, goal: Goal) -> bool:
        """Make ``goal`` the instance; False where no certificate fits the turn limit."""
        self._goal = goal
        self._solution = certificate(self.shop, goal, self.turn_limit)
        return self._solution is not None

    def fingerprint(self) -> str:
        stock = self.shop.stock
        return self._goal.content(stock.name, stock[self._goal.position].id)

    def solution(self) -> list[str]:
        """Search for the product by the beginning of its title, choose the options, buy.

        Some published goals have none; `TaskError` says so.
        """
        if self._solution is None:
            raise TaskError(f"Nothing is known to fulfil {self.task} within its turns.")
        return list(self._solution)

    # Playing it ----------------------------------------------------------------------------------

    def rules(self) -> str:
        read = (
            "titles, descriptions, first features and options only"
            if self._data
            else "titles, categories and options only"
        )
        return (
            "WebShop. Buy the product that the instruction describes: right kind, wanted "
            "attributes, wanted options, price within the limit. You can buy once; only a perfect "
            "purchase (score 1.0) solves the task.\n"
            "Pages: search, results (ten of at most 50 products: id, title, price), item (options, "
            "price, and the buttons Description, Features, Reviews, Attributes for more), and a "
            f"last one with the score. The search reads {read}. Products that look alike may "
            "differ in what one of their pages tells, in options, or in price; an option may cost "
            f"more.\nYou have {self.turn_limit} turns.\n"
            "Answer on the search page with <action>search[words]</action>, elsewhere with the "
            "text of a button, product id or option of the page, such as "
            "<action>click[buy now]</action>."
        )

    def start(self) -> str:
        self._visit = self.enter()
        return self.look()

    def enter(self) -> Visit:
        """A new visit of the shop for the present task."""
        return Visit(self.shop, self._goal, self._nouns)

    def parse(self, answer: str) -> str | None:
        return read_action(answer, self.page)

    def act(self, action: str) -> Outcome:
        self._visit.act(action)
        score = self._visit.score
        if score is None:
            return Outcome(self.look(), 0.0, False, False)
        won = score.total == 1.0
        reward = score.total if self.reward == "graded" else PERFECT_REWARD * won
        return Outcome(self.look(), reward, True, won)

    def look(self) -> str:
        return self.page.render(self._visit.instruction, self.form)

    def admissible(self) -> list[str] | None:
        """Every click that the page offers; None on the search page, where anything can be
        typed, and on the last."""
        return list(self.page.actions) or None

    @property
    def page(self) -> Page:
        """The open page."""
        return self._visit.page

    def _info(self, valid: bool) -> dict[str, Any]:
        info = super()._info(valid)
        if self._visit.score is not None:
            info["reward_parts"] = self._visit.score.parts()
        return info

    def serve(self, announce: Callable[[str], None]) -> None:
        from environments.webshop.app import Lobby, serve

        def welcome() -> Visit:
            self.reset()
            return self.enter()

        serve(Lobby(welcome, self.turn_limit), announce)


def _one_of(name: str, value: Any, choices: Sequence[str]) -> Any:
    """``value``; raises `SettingError` unless it is one of the choices."""
    if value not in choices:
        raise SettingError(f"{name}={value!r} is unknown. Give one of: {', '.join(choices)}.")
    return value
