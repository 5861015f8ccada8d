"""`run` and `train`."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamer_bench.cli import board, options, output
from lamer_bench.errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    from lamer_bench.runner import Progress


def run(
    agent: options.Agent,
    env: options.Environment,
    agent_option: options.AgentOptions = None,
    env_option: options.EnvironmentOptions = None,
    data: options.Data = None,
    split: options.Split = "test",
    tasks: Annotated[int, typer.Option(help="The first so many tasks of the split.")] = 100,
    episodes: options.Episodes = 3,
    repeats: Annotated[int, typer.Option(help="Trials on each task.")] = 1,
    control_episodes: Annotated[
        int | None,
        typer.Option(
            help="Memory-wiped episodes for each task, 0 for none; --episodes unless said.",
            show_default=False,
        ),
    ] = None,
    memory: options.MemoryMode = None,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run folder, runs/<env>/<agent> unless said. An unfinished run of the same "
            "settings is continued.",
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Set an existing run aside and start anew.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Trials in flight; changes the speed only.")] = 256,
    sealed: Annotated[
        str | None,
        typer.Option(
            help="Play the sealed tasks of the leaderboard at this address, which decides what is "
            "played and keeps the record.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="With --sealed: the name of your entry; the agent's own unless said.",
            show_default=False,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Play an agent on an environment, with its memory-wiped control, and print its scores."""
    from lamer_bench import runner
    from lamer_bench.cli.results import print_scores
    from lamer_bench.options import split_options
    from lamer_bench.scores import score_run

    if sealed is not None:
        given = {
            "--env-option": env_option,
            "--data": data,
            "--split": split != "test",
            "--tasks": tasks != 100,
            "--episodes": episodes != 3,
            "--repeats": repeats != 1,
            "--control-episodes": control_episodes is not None,
            "--out": out,
            "--fresh": fresh,
        }
        _refuse_decided(given)
        board.play_sealed(
            agent,
            env,
            sealed,
            name=name,
            memory=memory,
            seed=seed,
            agent_options=split_options(agent_option or []),
            as_json=as_json,
        )
        return
    if name is not None:
        raise SettingError("--name goes with --sealed; a run folder is named by --out.")

    last: list[Progress] = []
    # what an agent prints must not stand beside the one JSON object
    aside = redirect_stdout(sys.stderr) if as_json else nullcontext()
    with output.shown_progress(is_quiet=agent == "human") as show, aside:

        def keep(progress: Progress) -> None:
            last[:] = [progress]
            show(progress)

        try:
            folder = runner.run(
                agent,
                env,
                agent_options=split_options(agent_option or []),
                environment_options=options.environment_options(env_option, data),
                split=split,
                tasks=tasks,
                episodes=episodes,
                repeats=repeats,
                control_episodes=control_episodes,
                memory=memory,
                seed=seed,
                out=out,
                fresh=fresh,
                batch=batch,
                command_line=["lamer-bench", *sys.argv[1:]],
                progress=keep,
                notice=output.notice,
            )
        except KeyboardInterrupt:
            kept = (
                f"{last[0].done} of {last[0].total} trials are kept" if last else "nothing is lost"
            )
            output.notice(f"\nStopped; {kept}. Go on with: {_same_command()}")
            raise typer.Exit(130) from None
    scores = score_run(folder)
    if as_json:
        output.print_json(scores.as_json())
        return
    print_scores(scores)
    allow = " --allow-imports" if ":" in env or env_option or data else ""
    _print_next(shlex.quote(str(folder.path)), allow)


def _refuse_decided(given: Mapping[str, object]) -> None:
    """Options of which the board decides."""
    if decided := [option for option, value in given.items() if value]:
        raise SettingError(f"With --sealed the board decides; leave out {', '.join(decided)}.")


def _print_next(path: str, allow: str) -> None:
    print("Next:")
    print(f"  lamer-bench verify {path}{allow}            replay every turn")
    print(f"  lamer-bench score {path} --json      all scores")
    print(f"  lamer-bench compare {path} OTHER     against another run on the same tasks")


def _same_command() -> str:
    words = [word for word in sys.argv[1:] if word != "--fresh"]
    return shlex.join(["lamer-bench", *words])


def train(context: typer.Context) -> None:
    """Train a small language model (`train --help`, `train lamer --help` list the settings)."""
    try:
        training: Any = importlib.import_module("baselines.training.cli")
    except ImportError as error:
        raise MissingExtraError(
            f"Training needs packages that are not installed ({error}). "
            'Install them: pip install "lamer-bench[train]"'
        ) from error
    try:
        result = training.main(context.args)
    except KeyboardInterrupt:
        output.notice(f"\nStopped; the last checkpoint is kept. Go on with: {_same_command()}")
        raise typer.Exit(130) from None
    if result is None:  # of several processes the first prints it
        return
    if "--json" in context.args:
        output.print_json(result)
    else:
        print(f"Trained: {result['policy']}")
