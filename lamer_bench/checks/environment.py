"""The contract of environments: one under test, the checks of its promises, and play by hand."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any, NamedTuple

from lamer_bench.agent import Answer, View
from lamer_bench.checks.promises import NONSENSE, guarded_randomness, require, shown_fields
from lamer_bench.env import CHARSET, TextEnv, make
from lamer_bench.errors import ContractError, SettingError
from lamer_bench.protocol import Ask, TrialPlan, play
from lamer_bench.task import SPLITS, Task, split_of

HEADINGS = ("Action", "Observation", "Reward", "Ends", "Levels", "Splits")
"""Headings of an environment's docstring, from which its page is generated."""

_INFO_TYPES: dict[str, type] = {
    "won": bool,
    "valid": bool,
    "admissible": list,
    "reward_parts": dict,
}
_SAME_HISTORY_TASKS = 60
_SAME_HISTORY_TURNS = 5


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


class EnvironmentUnderTest:
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
            require(len(answers) <= env.turn_limit, f"{task} is not over at its turn limit.")
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


def _declares_what_it_is(subject: EnvironmentUnderTest) -> None:
    """It declares its family, levels, version, turn limit and hint, and its docstring has the
    headings of an environment's page."""
    env = subject.make()
    cls = type(env)
    require(bool(re.fullmatch(r"[a-z0-9_-]+", cls.family)), f"family {cls.family!r} is no word.")
    require(isinstance(cls.version, int) and cls.version >= 1, "version is not 1 or more.")
    require(isinstance(env.turn_limit, int) and env.turn_limit >= 1, "turn_limit is below 1.")
    require(isinstance(env.action_hint, str) and env.action_hint != "", "action_hint is empty.")
    missing = [heading for heading in HEADINGS if f"## {heading}\n" not in (cls.__doc__ or "")]
    require(not missing, f"the docstring of {cls.__name__} lacks {', '.join(missing)}.")


def _restarts_exactly(subject: EnvironmentUnderTest) -> None:
    """Every episode of a task starts from the same state: after arbitrary play the same answers
    bring the same observations, rewards and info."""
    for task in subject.tasks():
        env = subject.make()
        answers, steps = subject.wander(env, task)
        subject.wander(env, task, stream=1)
        _same_steps(steps, replay(env, answers), f"{task} after a restart")


def _same_task_is_the_same_instance(subject: EnvironmentUnderTest) -> None:
    """A task id is the whole seed: a new object, or one that held another task, shows the same."""
    other = Task(subject.id, "train", subject.num_tasks)
    used = subject.make()
    for task in subject.tasks():
        answers, steps = subject.wander(subject.make(), task)
        _same_steps(steps, replay(subject.make(), answers, task), f"{task} in a new object")
        subject.wander(used, other)
        _same_steps(steps, replay(used, answers, task), f"{task} after another task")


def _wins_with_its_solution(subject: EnvironmentUnderTest) -> None:
    """Every task is certified: its solution is valid and wins it within the turn limit."""
    for task in subject.tasks():
        env = subject.loaded(task)
        solution = env.solution()
        require(
            0 < len(solution) <= env.turn_limit,
            f"the solution of {task} has {len(solution)} turns, the limit is {env.turn_limit}.",
        )
        steps = replay(env, solution)
        require(
            len(steps) == len(solution) + 1 and all(step.info["valid"] for step in steps),
            f"the solution of {task} holds answers that are not actions, or too many.",
        )
        require(steps[-1].terminated and env.won, f"the solution of {task} does not win.")
        require(env.solution() == solution, f"the solution of {task} changes by playing it.")


def _belongs_to_its_split(subject: EnvironmentUnderTest) -> None:
    """A task's fingerprint lies in its split, in no other, and does not change by playing."""
    owner: dict[str, str] = {}
    for task in subject.tasks():
        env = subject.loaded(task)
        fingerprint = env.fingerprint()
        split = split_of(fingerprint)
        require(split == task.split, f"{task} has the content of a {split} task.")
        require(owner.setdefault(fingerprint, split) == split, f"{task} lies in two splits.")
        subject.wander(env, task)
        require(env.fingerprint() == fingerprint, f"the fingerprint of {task} changes in play.")


def _answers_nonsense(subject: EnvironmentUnderTest) -> None:
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
        require(env.turn == 1, f"the answer {shown} did not cost a turn.")
        require(bool(answer.strip()) or not step.info["valid"], "an empty answer is an action.")
        if step.info["valid"]:
            continue
        require(
            step.reward == env.invalid_reward and not step.terminated and not step.info["won"],
            f"the answer {shown} had an effect although it is not an action.",
        )
        require(
            env.look() == seen and step.info.get("admissible") == first.info.get("admissible"),
            f"the answer {shown} changed the world although it is not an action.",
        )
        require(env.action_hint in step.observation, f"the answer {shown} got no hint.")
        if not step.is_last:
            after = advance(env, action)
            same = after.observation == untouched[1].observation
            require(same, f"the answer {shown} changed what the next action did.")


def _ends_in_time(subject: EnvironmentUnderTest) -> None:
    """An episode ends within its turn limit, is cut exactly there, and takes no turn after it."""
    for task in subject.tasks(2):
        env = subject.loaded(task)
        steps = replay(env, [""] * (env.turn_limit + 1))
        require(
            len(steps) == env.turn_limit + 1 and steps[-1].truncated,
            f"{task} ended after {len(steps) - 1} empty answers; the limit is {env.turn_limit}.",
        )
        _, steps = subject.wander(env, task)
        is_cut = steps[-1].truncated and not steps[-1].terminated
        require(
            not is_cut or len(steps) == env.turn_limit + 1,
            f"{task} was cut after {len(steps) - 1} turns; the limit is {env.turn_limit}.",
        )
        try:
            env.step("")
        except SettingError:
            continue
        raise ContractError(f"{task} takes turns after its end.")


def _shows_text_of_its_space(subject: EnvironmentUnderTest) -> None:
    """Observations lie in the observation space and rewards are finite numbers."""
    env = subject.make()
    for task in subject.tasks():
        for stream in range(2):
            for step in subject.wander(env, task, stream)[1]:
                odd = sorted(set(step.observation) - CHARSET)
                require(not odd, f"{task} shows {''.join(odd)!r}, which is not in CHARSET.")
                require(step.observation in env.observation_space, f"{task} shows no text.")
                is_number = isinstance(step.reward, float | int) and math.isfinite(step.reward)
                require(is_number, f"{task} gives the reward {step.reward!r}.")


def _tells_little_in_info(subject: EnvironmentUnderTest) -> None:
    """Info holds ``won``, ``valid`` and perhaps ``admissible`` and ``reward_parts`` (name ->
    number), and nothing else; ``won`` and ``reward_parts`` come only with the end."""
    env = subject.make()
    for task in subject.tasks():
        for step in subject.wander(env, task)[1]:
            foreign = sorted(step.info.keys() - _INFO_TYPES.keys())
            require(not foreign, f"info of {task} also holds {foreign}.")
            for key, value in step.info.items():
                is_right = type(value) is _INFO_TYPES[key]
                require(is_right, f"info[{key!r}] of {task} is a {type(value).__name__}.")
            require({"won", "valid"} <= step.info.keys(), f"info of {task} is not complete.")
            require(step.terminated or not step.info["won"], f"{task} is won before its end.")
            parts = step.info.get("reward_parts", {})
            is_open = step.terminated or "reward_parts" not in step.info
            require(is_open, f"{task} takes its reward apart before its end.")
            numbers = all(
                isinstance(part, float) and math.isfinite(part) for part in parts.values()
            )
            require(numbers, f"a part of the reward of {task} is no number.")


def _lists_possible_actions(subject: EnvironmentUnderTest) -> None:
    """Admissible actions are distinct and valid as they stand; changing the list that was handed
    out changes nothing in the environment."""
    for task in subject.tasks(3):
        env = subject.loaded(task)
        answers, steps = subject.wander(env, task)
        step = start(env)
        for answer, expected in zip(answers, steps[1:], strict=True):
            actions = step.info.get("admissible") or []
            require(len(set(actions)) == len(actions), f"{task} lists an action twice.")
            for action in actions:
                is_fixed = env.read(action) == action
                require(is_fixed, f"{task} lists {action!r}, which it reads otherwise.")
            observation, reward, terminated, truncated, info = env.step(answer)
            step = Step(observation, reward, terminated, truncated, copy.deepcopy(info))
            _same_steps([expected], [step], f"{task} while its actions were read")
            if "admissible" in info:
                info["admissible"].clear()


def _reads_canonical_actions(subject: EnvironmentUnderTest) -> None:
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
            require(again == (action, action), f"{action!r} is read as {again}.")
    require(env.look() == seen and env.turn == 0, "reading an answer changed the world.")
    for action in env.solution():
        require(env.read(action) == action, f"the solution's {action!r} is read otherwise.")
        advance(env, action)


def _has_one_page_of_rules(subject: EnvironmentUnderTest) -> None:
    """Rules and hint are the same for every task and in every state, and name no task."""
    expected = subject.loaded(Task(subject.id, "train", 0)).rules()
    require(isinstance(expected, str) and expected != "", "rules() is empty.")
    for task in subject.tasks():
        env = subject.loaded(task)
        at_first = env.rules()
        subject.wander(env, task)
        require(at_first == env.rules() == expected, f"the rules of {task} are its own.")
        require(env.action_hint == type(env).action_hint, f"the hint of {task} is its own.")


def _uses_no_global_randomness(subject: EnvironmentUnderTest) -> None:
    """No global random state is read or written: other global seeds bring the same."""
    seen = []
    for seed in (1, 2):
        with guarded_randomness(seed, "the environment"):
            env = subject.make()
            played = [subject.wander(env, task) for task in subject.tasks(2)]
            seen.append((played, env.fingerprint(), env.solution(), env.rules()))
    require(seen[0] == seen[1], "another global seed brings another instance or reaction.")


def _hides_hidden_state(subject: EnvironmentUnderTest) -> None:
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
            require(is_plain, f"{task} shows an object of type {type(leaf).__name__}.")
        texts[task] = {leaf for leaf in leaves if isinstance(leaf, str)}
    for task, words in secrets.items():
        for word in words:
            showing = [one for one, seen in texts.items() if any(word in text for text in seen)]
            # what tasks of other content show too is a coincidence, such as a list of all doors
            is_leak = task in showing and all(secrets[one][1] == words[1] for one in showing)
            require(not is_leak, f"{task} shows {word[:60]!r}.")


def _tells_no_tasks_apart(subject: EnvironmentUnderTest) -> None:
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
            require(len(valid) == 1, f"{answer!r} is an action in one of two equal situations.")
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
        require(same, f"{tasks} show the same and offer other actions.")
    return [group for group in groups.values() if len(group) > 1]


def _renders_what_it_shows(subject: EnvironmentUnderTest) -> None:
    """``render_mode="ansi"`` renders the present observation."""
    env = make(subject.name, render_mode="ansi")
    observation = env.reset(seed=0)[0]
    require(env.render() == observation, "render() after reset is not the observation.")
    observation = env.step("")[0]
    require(env.render() == observation, "render() after step is not the observation.")


ENVIRONMENT_CHECKS: tuple[Callable[[EnvironmentUnderTest], None], ...] = (
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
    require(len(expected) == len(got), f"{where} ends after {len(got) - 1} turns.")


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
        value = [getattr(value, name) for name in shown_fields(value)]
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, field.name) for field in fields(value)]
    if not isinstance(value, list | tuple | set | frozenset):
        yield value
        return
    for item in value:
        yield from _leaves(item)
