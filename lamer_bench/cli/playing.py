"""`list` and `play`: what there is, and one trial in the terminal."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from lamer_bench import registry
from lamer_bench.agent import Agent
from lamer_bench.cli import options, output
from lamer_bench.env import TextEnv
from lamer_bench.errors import UnknownNameError


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
    env: options.Environment,
    agent: options.Agent = "human",
    task: Annotated[str, typer.Option(help="An index in the split, or a task id.")] = "0",
    split: options.Split = "test",
    episodes: options.Episodes = 3,
    memory: options.MemoryMode = None,
    seed: options.Seed = 0,
    pause: Annotated[float, typer.Option(help="Seconds between an agent's turns.")] = 0.0,
) -> None:
    """Play one trial yourself, or watch an agent (--agent) turn by turn."""
    from lamer_bench import protocol, runner
    from lamer_bench.task import Task

    player = runner.make_agent(agent)
    world = runner.EnvironmentPool(env).take()
    player.prepare(world.environment)
    plan = protocol.TrialPlan(
        task=Task.parse(task if "/" in task else f"{world.environment}/{split}/{task}"),
        num_episodes=runner.at_least_one("episodes", episodes),
        memory=runner.choose_memory(player, memory, agent),
        seed=seed,
        tell_solution=player.told_solution,
    )
    try:
        _watch(world, plan, player, agent, pause)
    except KeyboardInterrupt:
        print("\nStopped.")


def _watch(world: TextEnv, plan: Any, player: Agent, name: str, pause: float) -> None:
    from lamer_bench.asking import Asker
    from lamer_bench.protocol import play as start
    from lamer_bench.record import Void
    from lamer_bench.suites import limits_of

    asker = Asker(player, limits_of(world))
    spectator: Any = _Spectator(world)
    playing = start(spectator, plan)
    print(f"{plan.task}, {plan.num_episodes} episodes, agent {name}, memory {plan.memory}")
    ask = next(playing)
    if not player.is_interactive:
        print(f"\n{ask.view.rules}")
    while True:
        is_first = ask.kind == "act" and ask.view.turn == 0
        if is_first and not player.is_interactive:
            print(f"\n--- attempt {ask.view.episode + 1} ---\n{ask.view.observation}")
        reply = asker.ask(ask.kind, [ask.view])[0]
        if isinstance(reply, Void):
            raise UnknownNameError(f"The agent {name!r} broke: {reply.type}: {reply.message}")
        if not player.is_interactive:
            print(f"\n> {reply.text.strip()}")
            time.sleep(max(0.0, pause))
        try:
            ask = playing.send(reply)
        except StopIteration as stop:
            won = stop.value.episodes[-1].end == "won"
            count = len(stop.value.episodes)
            print(f"\n{'Won' if won else 'Not won'} in {count} attempt{'s' if count > 1 else ''}.")
            return


class _Spectator:
    """An environment that prints what each action led to."""

    def __init__(self, world: TextEnv) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Act, and show the result."""
        step = self._world.step(action)
        print(f"\n{step[0]}\nreward {step[1]:g}")
        return step
