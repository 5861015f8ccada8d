"""The contracts that every environment and every agent keeps, usable on anyone's classes.

    check_environment("doors-easy")      check_environment("my_package:Doors-easy")
    check_agent("random")                check_agent("my_package:MyAgent", "doors-easy")

Each check is one short function whose docstring is the promise it tests. The first promise that is
broken raises `ContractError` with one line; what is returned is the list of promises that were
kept.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lamer_bench import registry
from lamer_bench.agent import MEMORIES, Answer, Memory, View
from lamer_bench.asking import Question, read_answers
from lamer_bench.env import CHARSET, TextEnv, environment_ids, make
from lamer_bench.errors import (
    AgentError,
    ContractError,
    LamerBenchError,
    SettingError,
    UnknownNameError,
)
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.record import Void
from lamer_bench.runner import make_agent
from lamer_bench.task import SPLITS, Task, split_of

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

HEADINGS = ("Action", "Observation", "Reward", "Ends", "Levels", "Splits")
"""Headings of an environment's docstring, from which its page is generated."""

_INFO_TYPES: dict[str, type] = {"won": bool, "valid": bool, "admissible": list}
_SAME_HISTORY_TASKS = 60
_SAME_HISTORY_TURNS = 5
_MAX_ROUNDS = 12


def check(target: str) -> list[str]:
    """Check whatever ``target`` names: an environment id, a family (all its levels), an agent, or
    ``module:Class`` of either kind."""
    if target in list(registry.AGENTS):
        return check_agent(target)
    if target in list(registry.ENVIRONMENTS):
        return _check_levels(target, registry.ENVIRONMENTS.load(target))
    if target in environment_ids() or (":" in target and "-" in target.partition(":")[2]):
        return check_environment(target)
    if ":" not in target:
        raise UnknownNameError(
            registry.unknown("environment or agent", target, [*environment_ids(), *registry.AGENTS])
        )
    loaded = registry.AGENTS.load(target)
    if isinstance(loaded, type) and issubclass(loaded, TextEnv):
        return _check_levels(target, loaded)
    return check_agent(target)


def check_environment(name: str, num_tasks: int = 8) -> list[str]:
    """Check an environment id or ``module:Class-level`` on ``num_tasks`` tasks of each split.

    Returns the promises it keeps; raises `ContractError` at the first that it breaks.
    """
    return _check_all(name, _Environment(name, num_tasks), ENVIRONMENT_CHECKS)


def check_agent(name: str, environment: str | None = None, num_tasks: int = 4) -> list[str]:
    """Check an agent by its name or ``module:Class``.

    ``environment`` is where it plays; the first one that it accepts unless said. Returns the
    promises it keeps; raises `ContractError` at the first that it breaks.
    """
    return _check_all(name, _Player(name, environment, num_tasks), AGENT_CHECKS)


def digest(name: str, num_tasks: int = 8) -> str:
    """SHA-256 of what random play shows on the first tasks of each split: equal in every
    process."""
    subject = _Environment(name, num_tasks)
    whole = hashlib.sha256()
    for task in subject.tasks():
        env = subject.make()
        answers, steps = subject.wander(env, task)
        content = [task.id, env.fingerprint(), env.rules(), env.solution(), answers, steps]
        whole.update(json.dumps(content).encode())
    return whole.hexdigest()


def _check_levels(target: str, cls: type[TextEnv]) -> list[str]:
    passed = []
    for level in cls.levels:
        passed = check_environment(f"{target}-{level}")
    return passed


def _check_all(name: str, subject: Any, checks: Iterable[Callable[[Any], None]]) -> list[str]:
    passed = []
    for one in checks:
        promise = " ".join((one.__doc__ or one.__name__).split())
        try:
            one(subject)
        except ContractError as error:
            raise ContractError(_line(name, str(error), promise)) from None
        except Exception as error:
            if isinstance(error, LamerBenchError) and not isinstance(error, AgentError):
                raise
            what = f"raised {type(error).__name__}: {error}"
            raise ContractError(_line(name, what, promise)) from error
        passed.append(promise)
    return passed


def _line(name: str, what: str, promise: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in what)
    return f"{name}: {printable.rstrip('.')}. The promise: {promise}"


def _require(is_kept: bool, message: str) -> None:
    if not is_kept:
        raise ContractError(message)


# Environments ------------------------------------------------------------------------------------


class Step(NamedTuple):
    """What one `reset` or `step` showed; after a reset the reward is 0."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def is_last(self) -> bool:
        return self.terminated or self.truncated


class _Environment:
    """An environment under test: fresh objects, its tasks, and ways to play them."""

    def __init__(self, name: str, num_tasks: int) -> None:
        self.name = name
        self.num_tasks = num_tasks
        self.id = self.make().environment

    def make(self) -> TextEnv:
        """A new object."""
        return make(self.name)

    def tasks(self, num_tasks: int | None = None) -> Iterator[Task]:
        """The first tasks of every split."""
        for split in SPLITS:
            for index in range(num_tasks or self.num_tasks):
                yield Task(self.id, split, index)

    def loaded(self, task: Task) -> TextEnv:
        """A new object with ``task`` in it."""
        env = self.make()
        env.load(task)
        return env

    @cached_property
    def vocabulary(self) -> list[str]:
        """Answers that are actions in some state: what the solutions consist of."""
        words: dict[str, None] = {}
        for task in self.tasks(4):
            words.update(dict.fromkeys(self.loaded(task).solution()))
        return list(words)

    def wander(self, env: TextEnv, task: Task, stream: int = 0) -> tuple[list[str], list[Step]]:
        """Random play with some nonsense in it, to the end: the answers and what they led to."""
        rng = task.rng(f"check/{stream}")
        answers: list[str] = []
        steps = [start(env, task)]
        while not steps[-1].is_last:
            choices = steps[-1].info.get("admissible") or self.vocabulary
            kind = rng.random()
            answer = rng.choice(choices) if kind < 0.85 else rng.choice(self.vocabulary)
            answer = rng.choice(NONSENSE[:10]) if kind > 0.93 else answer
            answers.append(answer)
            steps.append(advance(env, answer))
            _require(len(answers) <= env.turn_limit, f"{task} is not over at its turn limit.")
        return answers, steps


def start(env: TextEnv, task: Task | None = None) -> Step:
    """Begin an episode of ``task``, or of the present task again."""
    observation, info = env.reset(options={"task": task.id} if task else None)
    return Step(observation, 0.0, False, False, copy.deepcopy(info))


def advance(env: TextEnv, answer: str) -> Step:
    """Take one turn."""
    observation, reward, terminated, truncated, info = env.step(answer)
    return Step(observation, reward, terminated, truncated, copy.deepcopy(info))


def replay(env: TextEnv, answers: Iterable[str], task: Task | None = None) -> list[Step]:
    """What an episode shows that is answered with ``answers`` in turn, up to its end."""
    steps = [start(env, task)]
    for answer in answers:
        if steps[-1].is_last:
            break
        steps.append(advance(env, answer))
    return steps


def _declares_what_it_is(subject: _Environment) -> None:
    """It declares its family, levels, version, turn limit and hint, and its docstring has the
    headings of an environment's page."""
    env = subject.make()
    cls = type(env)
    _require(bool(re.fullmatch(r"[a-z0-9_]+", cls.family)), f"family {cls.family!r} is no word.")
    _require(isinstance(cls.version, int) and cls.version >= 1, "version is not 1 or more.")
    _require(isinstance(env.turn_limit, int) and env.turn_limit >= 1, "turn_limit is below 1.")
    _require(isinstance(env.action_hint, str) and env.action_hint != "", "action_hint is empty.")
    missing = [heading for heading in HEADINGS if f"## {heading}\n" not in (cls.__doc__ or "")]
    _require(not missing, f"the docstring of {cls.__name__} lacks {', '.join(missing)}.")


def _restarts_exactly(subject: _Environment) -> None:
    """Every episode of a task starts from the same state: after arbitrary play the same answers
    bring the same observations, rewards and info."""
    for task in subject.tasks():
        env = subject.make()
        answers, steps = subject.wander(env, task)
        subject.wander(env, task, stream=1)
        _same_steps(steps, replay(env, answers), f"{task} after a restart")


def _same_task_is_the_same_instance(subject: _Environment) -> None:
    """A task id is the whole seed: a new object, or one that held another task, shows the same."""
    other = Task(subject.id, "train", subject.num_tasks)
    used = subject.make()
    for task in subject.tasks():
        answers, steps = subject.wander(subject.make(), task)
        _same_steps(steps, replay(subject.make(), answers, task), f"{task} in a new object")
        subject.wander(used, other)
        _same_steps(steps, replay(used, answers, task), f"{task} after another task")


def _wins_with_its_solution(subject: _Environment) -> None:
    """Every task is certified: its solution is valid and wins it within the turn limit."""
    for task in subject.tasks():
        env = subject.loaded(task)
        solution = env.solution()
        _require(
            0 < len(solution) <= env.turn_limit,
            f"the solution of {task} has {len(solution)} turns, the limit is {env.turn_limit}.",
        )
        steps = replay(env, solution)
        _require(
            len(steps) == len(solution) + 1 and all(step.info["valid"] for step in steps),
            f"the solution of {task} holds answers that are not actions, or too many.",
        )
        _require(steps[-1].terminated and env.won, f"the solution of {task} does not win.")
        _require(env.solution() == solution, f"the solution of {task} changes by playing it.")


def _belongs_to_its_split(subject: _Environment) -> None:
    """A task's fingerprint lies in its split, in no other, and does not change by playing."""
    owner: dict[str, str] = {}
    for task in subject.tasks():
        env = subject.loaded(task)
        fingerprint = env.fingerprint()
        split = split_of(fingerprint)
        _require(split == task.split, f"{task} has the content of a {split} task.")
        _require(owner.setdefault(fingerprint, split) == split, f"{task} lies in two splits.")
        subject.wander(env, task)
        _require(env.fingerprint() == fingerprint, f"the fingerprint of {task} changes in play.")


def _answers_nonsense(subject: _Environment) -> None:
    """An answer that is not an action costs a turn and nothing else, and is told what an action
    looks like; no answer raises, whatever it holds, and an empty one is never an action."""
    task = Task(subject.id, "test", 0)
    env = subject.loaded(task)
    action = env.solution()[0]
    untouched = replay(env, [action])
    for answer in NONSENSE:
        shown = repr(answer if len(answer) < 50 else f"{answer[:20]}... of {len(answer)}")
        first = start(env)
        seen = env.look()
        step = advance(env, answer)
        _require(env.turn == 1, f"the answer {shown} did not cost a turn.")
        _require(bool(answer.strip()) or not step.info["valid"], "an empty answer is an action.")
        if step.info["valid"]:
            continue
        _require(
            step.reward == env.invalid_reward and not step.terminated and not step.info["won"],
            f"the answer {shown} had an effect although it is not an action.",
        )
        _require(
            env.look() == seen and step.info.get("admissible") == first.info.get("admissible"),
            f"the answer {shown} changed the world although it is not an action.",
        )
        _require(env.action_hint in step.observation, f"the answer {shown} got no hint.")
        if not step.is_last:
            after = advance(env, action)
            same = after.observation == untouched[1].observation
            _require(same, f"the answer {shown} changed what the next action did.")


def _ends_in_time(subject: _Environment) -> None:
    """An episode ends within its turn limit, is cut exactly there, and takes no turn after it."""
    for task in subject.tasks(2):
        env = subject.loaded(task)
        steps = replay(env, [""] * (env.turn_limit + 1))
        _require(
            len(steps) == env.turn_limit + 1 and steps[-1].truncated,
            f"{task} ended after {len(steps) - 1} empty answers; the limit is {env.turn_limit}.",
        )
        _, steps = subject.wander(env, task)
        is_cut = steps[-1].truncated and not steps[-1].terminated
        _require(
            not is_cut or len(steps) == env.turn_limit + 1,
            f"{task} was cut after {len(steps) - 1} turns; the limit is {env.turn_limit}.",
        )
        try:
            env.step("")
        except SettingError:
            continue
        raise ContractError(f"{task} takes turns after its end.")


def _shows_text_of_its_space(subject: _Environment) -> None:
    """Observations lie in the observation space and rewards are finite numbers."""
    env = subject.make()
    for task in subject.tasks():
        for stream in range(2):
            for step in subject.wander(env, task, stream)[1]:
                odd = sorted(set(step.observation) - CHARSET)
                _require(not odd, f"{task} shows {''.join(odd)!r}, which is not in CHARSET.")
                _require(step.observation in env.observation_space, f"{task} shows no text.")
                is_number = isinstance(step.reward, float | int) and math.isfinite(step.reward)
                _require(is_number, f"{task} gives the reward {step.reward!r}.")


def _tells_little_in_info(subject: _Environment) -> None:
    """Info holds ``won``, ``valid`` and perhaps ``admissible``, and nothing else; ``won`` comes
    only with the end."""
    env = subject.make()
    for task in subject.tasks():
        for step in subject.wander(env, task)[1]:
            foreign = sorted(step.info.keys() - _INFO_TYPES.keys())
            _require(not foreign, f"info of {task} also holds {foreign}.")
            for key, value in step.info.items():
                is_right = type(value) is _INFO_TYPES[key]
                _require(is_right, f"info[{key!r}] of {task} is a {type(value).__name__}.")
            _require({"won", "valid"} <= step.info.keys(), f"info of {task} is not complete.")
            _require(step.terminated or not step.info["won"], f"{task} is won before its end.")


def _lists_possible_actions(subject: _Environment) -> None:
    """Admissible actions are distinct and valid as they stand; changing the list that was handed
    out changes nothing in the environment."""
    for task in subject.tasks(3):
        env = subject.loaded(task)
        answers, steps = subject.wander(env, task)
        step = start(env)
        for answer, expected in zip(answers, steps[1:], strict=True):
            actions = step.info.get("admissible") or []
            _require(len(set(actions)) == len(actions), f"{task} lists an action twice.")
            for action in actions:
                is_fixed = env.read(action) == action
                _require(is_fixed, f"{task} lists {action!r}, which it reads otherwise.")
            observation, reward, terminated, truncated, info = env.step(answer)
            step = Step(observation, reward, terminated, truncated, copy.deepcopy(info))
            _same_steps([expected], [step], f"{task} while its actions were read")
            if "admissible" in info:
                info["admissible"].clear()


def _reads_canonical_actions(subject: _Environment) -> None:
    """A canonical action is read as itself, alone and in its tag, and reading changes nothing."""
    task = Task(subject.id, "test", 0)
    env = subject.loaded(task)
    step = start(env)
    seen = env.look()
    for word in (*subject.vocabulary, *(step.info.get("admissible") or ()), *NONSENSE[:10]):
        for answer in (word, word.upper(), f"  {word} ", f"<action>{word}</action>"):
            action = env.read(answer)
            if action is None:
                continue
            again = env.read(action), env.read(f"I think so.\n<action>{action}</action>")
            _require(again == (action, action), f"{action!r} is read as {again}.")
    _require(env.look() == seen and env.turn == 0, "reading an answer changed the world.")
    for action in env.solution():
        _require(env.read(action) == action, f"the solution's {action!r} is read otherwise.")
        advance(env, action)


def _has_one_page_of_rules(subject: _Environment) -> None:
    """Rules and hint are the same for every task and in every state, and name no task."""
    expected = subject.loaded(Task(subject.id, "train", 0)).rules()
    _require(isinstance(expected, str) and expected != "", "rules() is empty.")
    for task in subject.tasks():
        env = subject.loaded(task)
        at_first = env.rules()
        subject.wander(env, task)
        _require(at_first == env.rules() == expected, f"the rules of {task} are its own.")
        _require(env.action_hint == type(env).action_hint, f"the hint of {task} is its own.")


def _uses_no_global_randomness(subject: _Environment) -> None:
    """No global random state is read or written: other global seeds bring the same."""
    seen = []
    for seed in (1, 2):
        with _global_randomness(seed, "the environment"):
            env = subject.make()
            played = [subject.wander(env, task) for task in subject.tasks(2)]
            seen.append((played, env.fingerprint(), env.solution(), env.rules()))
    _require(seen[0] == seen[1], "another global seed brings another instance or reaction.")


def _hides_hidden_state(subject: _Environment) -> None:
    """What a player is shown, in observation, info and view, holds plain data, and neither the
    task's id nor its content nor its solution."""
    texts: dict[Task, set[str]] = {}
    secrets: dict[Task, list[str]] = {}
    for task in subject.tasks():
        env = subject.loaded(task)
        secrets[task] = [task.id, env.fingerprint()]
        if len(solution := env.solution()) > 2:
            secrets[task] += [glue.join(solution) for glue in (" ", ", ", ",", "\n", "; ")]
        shown: list[Any] = [env.rules(), env.action_hint, *subject.wander(env, task)[1]]
        shown += [ask.view for ask in _asks(env, task, subject.vocabulary)]
        leaves = list(_leaves(shown))
        for leaf in leaves:
            is_plain = leaf is None or isinstance(leaf, str | int | float)
            _require(is_plain, f"{task} shows an object of type {type(leaf).__name__}.")
        texts[task] = {leaf for leaf in leaves if isinstance(leaf, str)}
    for task, words in secrets.items():
        for word in words:
            showing = [one for one, seen in texts.items() if any(word in text for text in seen)]
            # what tasks of other content show too is a coincidence, such as a list of all doors
            is_leak = task in showing and all(secrets[one][1] == words[1] for one in showing)
            _require(not is_leak, f"{task} shows {word[:60]!r}.")


def _tells_no_tasks_apart(subject: _Environment) -> None:
    """Tasks that have shown the same up to now also list the same actions, in the same order, and
    take the same answers: what is possible betrays nothing that was not seen."""
    envs = [(task, subject.loaded(task)) for task in subject.tasks(_SAME_HISTORY_TASKS)]
    rng = random.Random("check")
    groups = _by_observation((env, start(env, task)) for task, env in envs)
    for _ in range(_SAME_HISTORY_TURNS):
        following = []
        for group in groups:
            step = group[0][1]
            words = [
                *(step.info.get("admissible") or subject.vocabulary),
                rng.choice(NONSENSE[:10]),
            ]
            answer = rng.choice(words)
            after = [(env, advance(env, answer)) for env, _ in group]
            valid = {step.info["valid"] for _, step in after}
            _require(len(valid) == 1, f"{answer!r} is an action in one of two equal situations.")
            following += _by_observation(pair for pair in after if not pair[1].is_last)
        groups = following


def _by_observation(
    pairs: Iterable[tuple[TextEnv, Step]],
) -> list[list[tuple[TextEnv, Step]]]:
    """Groups of two and more that see the same; what they are offered must then be the same."""
    groups: dict[str, list[tuple[TextEnv, Step]]] = {}
    for env, step in pairs:
        groups.setdefault(step.observation, []).append((env, step))
    for group in groups.values():
        offers = [step.info.get("admissible") for _, step in group]
        tasks = " and ".join(str(env.task) for env, _ in group[:2])
        same = all(offer == offers[0] for offer in offers)
        _require(same, f"{tasks} show the same and offer other actions.")
    return [group for group in groups.values() if len(group) > 1]


def _renders_what_it_shows(subject: _Environment) -> None:
    """``render_mode="ansi"`` renders the present observation."""
    env = make(subject.name, render_mode="ansi")
    observation = env.reset(seed=0)[0]
    _require(env.render() == observation, "render() after reset is not the observation.")
    observation = env.step("")[0]
    _require(env.render() == observation, "render() after step is not the observation.")


ENVIRONMENT_CHECKS: tuple[Callable[[_Environment], None], ...] = (
    _declares_what_it_is,
    _wins_with_its_solution,
    _belongs_to_its_split,
    _restarts_exactly,
    _same_task_is_the_same_instance,
    _answers_nonsense,
    _ends_in_time,
    _shows_text_of_its_space,
    _tells_little_in_info,
    _lists_possible_actions,
    _reads_canonical_actions,
    _has_one_page_of_rules,
    _uses_no_global_randomness,
    _hides_hidden_state,
    _tells_no_tasks_apart,
    _renders_what_it_shows,
)


def _same_steps(expected: Sequence[Step], got: Sequence[Step], where: str) -> None:
    for turn, (one, other) in enumerate(zip(expected, got, strict=False)):
        for name, right, found in zip(Step._fields, one, other, strict=True):
            if right != found:
                quoted = f"{str(found)[:80]!r} instead of {str(right)[:80]!r}"
                raise ContractError(f"{where} differs at turn {turn}: {name} is {quoted}.")
    _require(len(expected) == len(got), f"{where} ends after {len(got) - 1} turns.")


def _asks(env: TextEnv, task: Task, words: Sequence[str]) -> Iterator[Ask]:
    """The questions of a trial that random words answer."""
    rng = task.rng("check/asks")
    playing = play(env, TrialPlan(task, num_episodes=2, memory="both"))
    try:
        ask = next(playing)
        while True:
            yield ask
            ask = playing.send(Answer(rng.choice(words)))
    except StopIteration:
        return


def _leaves(value: Any) -> Iterator[Any]:
    """Everything inside a nest of lists, dicts and views; ``make_rng`` is the protocol's own."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    elif isinstance(value, View):
        value = [getattr(value, name) for name in _shown_fields(value)]
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, field.name) for field in fields(value)]
    if not isinstance(value, list | tuple | set | frozenset):
        yield value
        return
    for item in value:
        yield from _leaves(item)


def _shown_fields(view: View) -> list[str]:
    return [field.name for field in fields(view) if field.name not in ("state", "make_rng")]


@contextmanager
def _global_randomness(seed: int, who: str) -> Iterator[None]:
    """Seed Python's and NumPy's global streams, restore them, and see that nobody touched them."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is what is looked at)
    try:
        random.setstate(random.Random(seed).getstate())
        np.random.set_state(np.random.RandomState(seed).get_state())  # noqa: NPY002
        marks = random.getstate(), _numpy_state()
        yield
        _require(marks[0] == random.getstate(), f"{who} used Python's global random state.")
        _require(marks[1] == _numpy_state(), f"{who} used NumPy's global random state.")
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def _numpy_state() -> str:
    return repr(np.random.get_state(legacy=False)["state"])  # noqa: NPY002


# Agents ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Round:
    """One batch of questions as it was before and after the agent answered it."""

    kind: Question
    before: list[View]
    after: list[View]
    answers: list[Answer]


class _Player:
    """An agent under test, and the rounds that it plays in each of its memory modes."""

    def __init__(self, name: str, environment: str | None, num_tasks: int) -> None:
        self.name = name
        self.agent = make_agent(name)
        self.num_tasks = num_tasks
        self._environment = environment

    @cached_property
    def environment(self) -> str:
        """The environment to play on, prepared."""
        refusals: list[AgentError] = []
        for name in [self._environment] if self._environment else environment_ids():
            try:
                self.agent.prepare(make(name).environment)
            except AgentError as error:
                refusals.append(error)
            else:
                return name
        raise SettingError(f"The agent {self.name!r} cannot be checked: {refusals[0]}")

    def ask(self, kind: Question, views: Sequence[View]) -> list[Answer]:
        """The answers; an odd one breaks the contract."""
        replies = read_answers(getattr(self.agent, kind)(views), len(views))
        for reply in replies:
            if isinstance(reply, Void):
                raise ContractError(f"{kind}() {reply.message}.")
        return [reply for reply in replies if not isinstance(reply, Void)]

    def rounds(self, memory: Memory) -> list[_Round]:
        """Two episodes of the first tasks, all of them in lockstep; at most the first rounds."""
        plans = (
            TrialPlan(
                Task(make(self.environment).environment, "val", index),
                num_episodes=2,
                memory=memory,
                tell_solution=self.agent.told_solution,
            )
            for index in range(self.num_tasks)
        )
        running = {}
        for plan in plans:
            playing = play(make(self.environment), plan)
            running[playing] = next(playing)
        rounds: list[_Round] = []
        while running and len(rounds) < _MAX_ROUNDS:
            kind = next(iter(running.values())).kind
            batch = [playing for playing, ask in running.items() if ask.kind == kind]
            views = [running[playing].view for playing in batch]
            before = [_snapshot(view) for view in views]
            answers = self.ask(kind, views)
            rounds.append(_Round(kind, before, [_snapshot(view) for view in views], answers))
            for playing, answer in zip(batch, answers, strict=True):
                try:
                    running[playing] = playing.send(answer)
                except StopIteration:
                    del running[playing]
        return rounds

    @cached_property
    def all_rounds(self) -> list[_Round]:
        """The rounds of all memory modes."""
        return [one for memory in self.agent.memories for one in self.rounds(memory)]


def _declares_itself(player: _Player) -> None:
    """It declares memory modes that exist, what it is told, and settings that can be stored."""
    agent = player.agent
    modes = list(agent.memories)
    _require(bool(modes), "memories is empty.")
    foreign = sorted(set(modes) - set(MEMORIES))
    _require(not foreign, f"memories holds {foreign}; there are {', '.join(MEMORIES)}.")
    _require(len(set(modes)) == len(modes), "memories names a mode twice.")
    for flag in ("told_solution", "deterministic", "is_interactive"):
        _require(isinstance(getattr(agent, flag), bool), f"{flag} is not True or False.")
    _require(not agent.is_interactive, "a person cannot be checked.")
    _require(bool(player.environment), "it accepts no environment.")
    json.dumps(agent.settings())


def _answers_every_view(player: _Player) -> None:
    """It answers every view with text, in every memory mode it declares."""
    _require(bool(player.all_rounds), "it was never asked.")


def _leaves_views_alone(player: _Player) -> None:
    """It changes nothing in a view but its scratch pad ``state``."""
    for one in player.all_rounds:
        for before, after in zip(one.before, one.after, strict=True):
            for name in _shown_fields(before):
                same = getattr(before, name) == getattr(after, name)
                _require(same, f"{one.kind}() changed the view's {name}.")


def _answers_the_same_again(player: _Player) -> None:
    """Unless it says that it is not deterministic, it answers the same view with the same text."""
    if not player.agent.deterministic:
        return
    for one in player.all_rounds:
        again = player.ask(one.kind, [_snapshot(view) for view in one.before])
        _require(again == one.answers, f"{one.kind}() answered the same views otherwise.")


def _answers_alone_as_in_a_batch(player: _Player) -> None:
    """Unless it says that it is not deterministic, an answer does not depend on the batch: neither
    on who else is in it, nor on the order."""
    if not player.agent.deterministic:
        return
    for one in player.all_rounds:
        backward = player.ask(one.kind, [_snapshot(view) for view in reversed(one.before)])
        _require(backward[::-1] == one.answers, f"{one.kind}() depends on the batch's order.")
        for view, answer in zip(one.before, one.answers, strict=True):
            alone = player.ask(one.kind, [_snapshot(view)])
            _require(alone == [answer], f"{one.kind}() answers otherwise when it is asked alone.")


def _survives_unknown_text(player: _Player) -> None:
    """It answers an observation that begins with the hint; one that it cannot read at all it
    answers with whatever text, or refuses with `AgentError`."""
    view = player.all_rounds[0].before[0]
    hint = f"That is not an action. {view.action_hint}\n{view.observation}"
    kinds: tuple[Question, ...] = ("act", "reflect")
    for kind in kinds:
        player.ask(kind, [replace(_snapshot(view), observation=hint, state={})])
        for unknown in ("", "?", "\u4e2d\u6587 \x1b[31m <action>", view.observation[1:]):
            with suppress(AgentError):
                player.ask(kind, [replace(_snapshot(view), observation=unknown, state={})])


def _agent_uses_no_global_randomness(player: _Player) -> None:
    """Unless it says that it is not deterministic, it neither reads nor writes global random
    state: chance comes from the view's own stream."""
    if not player.agent.deterministic:
        return
    for seed in (1, 2):
        with _global_randomness(seed, "the agent"):
            for one in player.all_rounds[:4]:
                answers = player.ask(one.kind, [_snapshot(view) for view in one.before])
                _require(answers == one.answers, "another global seed brings other answers.")


AGENT_CHECKS: tuple[Callable[[_Player], None], ...] = (
    _declares_itself,
    _answers_every_view,
    _leaves_views_alone,
    _answers_the_same_again,
    _answers_alone_as_in_a_batch,
    _survives_unknown_text,
    _agent_uses_no_global_randomness,
)


def _snapshot(view: View) -> View:
    """A view as it is now: its scratch pad and its list of turns go on changing."""
    return replace(view, turns=tuple(view.turns), state=copy.deepcopy(view.state))
