"""`list` and `play`: what there is, and one trial in the terminal."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from lamer_bench import registry, runner, suites
from lamer_bench.agent import Answer
from lamer_bench.asking import Asker
from lamer_bench.cli import options, output
from lamer_bench.env import TextEnv
from lamer_bench.errors import AgentError, SettingError, UnknownNameError
from lamer_bench.options import split_options
from lamer_bench.protocol import Ask, TrialPlan
from lamer_bench.protocol import play as start_trial
from lamer_bench.record import Trial, Void
from lamer_bench.task import Task


def list_(as_json: options.AsJson = False) -> None:
    """List environments and agents."""
    environments = [row for family in registry.ENVIRONMENTS for row in _levels(family)]
    agents = [_describe_agent(name) for name in registry.AGENTS]
    if as_json:
        output.print_json({"environments": environments, "agents": agents})
        return
    rows = [(row["id"], row["description"]) for row in environments]
    output.print_table(("environment", "level"), rows)
    agent_rows = [(row["name"], ", ".join(row["memories"]), row["description"]) for row in agents]
    output.print_table(("agent", "memory (default first)", ""), agent_rows)


def _levels(family: str) -> list[dict[str, Any]]:
    try:
        cls = registry.ENVIRONMENTS.load(family)
    except UnknownNameError as error:
        return [{"id": family, "description": f"not available: {error}"}]
    return [
        {
            "id": f"{family}-{level}",
            "family": family,
            "level": level,
            "version": cls.version,
            "description": getattr(about, "description", str(about)),
        }
        for level, about in cls.levels.items()
    ]


def _describe_agent(name: str) -> dict[str, Any]:
    try:
        cls = registry.AGENTS.load(name)
    except UnknownNameError as error:
        return {"name": name, "memories": [], "description": f"not available: {error}"}
    summary = (cls.__doc__ or "").strip().partition("\n\n")[0]
    return {
        "name": name,
        "memories": list(cls.memories),
        "description": " ".join(summary.split()),
        "is_ranked": not cls.told_solution,
        "is_deterministic": cls.deterministic,
    }


def play(
    environment: Annotated[
        str | None, typer.Argument(help="What to play; --env says the same.", show_default=False)
    ] = None,
    env: Annotated[
        str | None, typer.Option(help="minesweeper-hard, or module:Class-level.")
    ] = None,
    agent: options.Agent = "human",
    agent_option: options.AgentOptions = None,
    env_option: options.EnvironmentOptions = None,
    data: options.Data = None,
    task: Annotated[str, typer.Option(help="An index in the split, or a task id.")] = "0",
    split: options.Split = "test",
    episodes: options.Episodes = 3,
    memory: options.MemoryMode = None,
    seed: options.Seed = 0,
    pause: Annotated[float, typer.Option(help="Seconds between an agent's turns.")] = 0.0,
    web: Annotated[
        bool, typer.Option("--web", help="Open it for your own browser, where it has pages.")
    ] = False,
) -> None:
    """Play one trial yourself, or watch an agent (--agent) turn by turn."""
    if (environment is None) == (env is None):
        raise SettingError("Name one environment to play, such as: lamer-bench play sokoban-easy.")
    pool = runner.EnvironmentPool(
        environment or env or "", options.environment_options(env_option, data)
    )
    world = pool.take()
    chosen = Task.parse(task if "/" in task else f"{world.environment}/{split}/{task}")
    if web:
        _serve(world, chosen)
        return
    player = runner.make_agent(agent, split_options(agent_option or []))
    player.prepare(world.environment)
    plan = TrialPlan(
        task=chosen,
        num_episodes=runner.at_least_one("episodes", episodes),
        memory=runner.choose_memory(player, memory, agent),
        seed=seed,
        tell_solution=player.told_solution,
    )
    asker = Asker(player, suites.limits_of(world))
    print(f"{plan.task}, {episodes} episodes, agent {agent}, memory {plan.memory}")
    try:
        trial = _play(world, plan, asker, None if player.is_interactive else pause)
    except KeyboardInterrupt:
        print("\nStopped.")
        return
    finally:
        asker.close()
        pool.close()
    won, count = trial.episodes[-1].end == "won", len(trial.episodes)
    print(f"\n{'Won' if won else 'Not won'} in {count} attempt{'s' if count > 1 else ''}.")


def _serve(world: TextEnv, task: Task) -> None:
    """Let a person play in their own browser, until the program is interrupted."""
    world.load(task)
    try:
        world.serve(lambda address: print(f"{task}: open {address} (Ctrl+C ends it)", flush=True))
    except KeyboardInterrupt:
        print("\nStopped.")


def _play(world: TextEnv, plan: TrialPlan, asker: Asker, pause: float | None) -> Trial:
    """Play a trial and show it; without a ``pause`` the player shows to itself what it is asked."""
    shown: Any = _Shown(world, is_silent=pause is None)
    playing = start_trial(shown, plan)
    ask = next(playing)
    while True:
        answer = _answer(ask, asker, pause)
        try:
            ask = playing.send(answer)
        except StopIteration as stop:
            if pause is None:
                print(f"\n{shown.last}")
            return stop.value  # type: ignore[no-any-return]


def _answer(ask: Ask, asker: Asker, pause: float | None) -> Answer:
    reply = asker.ask(ask.kind, [ask.view])[0]
    if isinstance(reply, Void):
        raise AgentError(f"The agent broke: {reply.type}: {reply.message}")
    if pause is not None:
        print(f"\n> {reply.text.strip()}")
        time.sleep(max(0.0, pause))
    return reply


class _Shown:
    """An environment that shows what happens in it, unless it is told to be silent."""

    def __init__(self, world: TextEnv, *, is_silent: bool) -> None:
        self._world = world
        self._is_silent = is_silent
        self._num_attempts = 0
        self.last = ""
        """What the last action led to."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self) -> tuple[str, dict[str, Any]]:
        """Start an attempt, and show how it looks."""
        start = self._world.reset()
        self._num_attempts += 1
        if not self._is_silent:
            if self._num_attempts == 1:
                print(f"\n{self._world.rules()}")
            print(f"\n--- attempt {self._num_attempts} ---\n{start[0]}")
        return start

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Act, and show the result."""
        step = self._world.step(action)
        self.last, reward, *_ = step
        if not self._is_silent:
            print(f"\n{self.last}\nreward {reward:g}")
        return step
