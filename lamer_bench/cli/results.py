"""`score`, `compare`, `verify`, `check`: what run folders and classes are worth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamer_bench.cli import options, output
from lamer_bench.record import RunFolder

if TYPE_CHECKING:
    from lamer_bench.comparison import Comparison, Difference
    from lamer_bench.scores import Estimate, Scores


def score(run_dir: options.RunDir, as_json: options.AsJson = False) -> None:
    """Compute the scores of a run folder from its records."""
    from lamer_bench.scores import score_run

    scores = score_run(run_dir)
    if as_json:
        output.print_json(scores.as_json())
    else:
        print_scores(scores)


def compare(run_a: options.RunDir, run_b: options.RunDir, as_json: options.AsJson = False) -> None:
    """Compare two runs on the tasks that both have, pairwise."""
    from lamer_bench import comparison as comparing

    comparison = comparing.compare(run_a, run_b)
    if as_json:
        output.print_json(comparison.as_json())
    else:
        _print_comparison(comparison)


def verify(
    run_dir: options.RunDir,
    allow_imports: options.AllowImports = False,
    as_json: options.AsJson = False,
) -> None:
    """Replay every turn of a run folder; exit with 1 and name the first divergence."""
    from lamer_bench.verify import verify as replay

    verdict = replay(run_dir, allow_imports=allow_imports)
    if as_json:
        document = {
            "run_dir": verdict.run_dir,
            "is_ok": verdict.is_ok,
            "divergence": asdict(verdict.divergence) if verdict.divergence else None,
            "trials": verdict.num_trials,
            "turns": verdict.num_turns,
            "voids": verdict.num_voids,
            "scores": verdict.scores.as_json() if verdict.scores else None,
        }
        output.print_json(document)
    else:
        print(verdict)
    if not verdict.is_ok:
        raise typer.Exit(1)


def check(
    target: Annotated[
        str, typer.Argument(help="An environment, an agent, or module:Class.", show_default=False)
    ],
    env: Annotated[
        str | None,
        typer.Option(
            help="Where an agent plays; the first environment that it accepts unless said.",
            show_default=False,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Check a class against the environment or agent contract; exit with 1 where it breaks it."""
    from lamer_bench import checks
    from lamer_bench.errors import ContractError

    kept: list[str] = []
    fault = None
    try:
        kept = checks.check(target, env)
    except ContractError as error:
        fault = str(error)
    if as_json:
        output.print_json({"target": target, "is_ok": not fault, "kept": kept, "fault": fault})
    elif fault is None:
        print("\n".join(f"kept  {promise}" for promise in kept))
        print(f"{target} keeps all {len(kept)} promises of its contract.")
    else:
        print(fault)
    if fault is not None:
        raise typer.Exit(1)


def print_scores(scores: Scores) -> None:
    """One run's scores as a table."""
    settings = scores.settings
    title = (
        f"{settings.agent} on {settings.environment} {settings.split}: {len(scores.tasks)} tasks, "
        f"{settings.episodes} episodes, memory {settings.memory}"
    )
    output.print_table(("score", ">value", ">95 % interval", ""), _rows(scores), title)
    if not scores.is_complete:
        print(f"Incomplete: {scores.num_trials} trials are there; the same run command goes on.")
    if not settings.is_ranked:
        print("Not ranked: this agent is told hidden state.")
    for line in _void_reasons(scores):
        print(line)
    print(f"content digest {scores.content_digest}")
    print(f"run folder     {scores.run_dir}\n")


def _rows(scores: Scores) -> Iterator[tuple[str, str, str, str]]:
    from lamer_bench.metrics import smallest_detectable_difference

    settings, cost, control = scores.settings, scores.cost, scores.control_cost
    for k, estimate in enumerate(scores.pass_at, start=1):
        yield _row(f"pass@{k}", estimate, _bounds(scores, scores.pass_bounds, k))
    for k, estimate in enumerate(scores.independent_pass_at, start=1):
        bounds = _bounds(scores, scores.independent_pass_bounds, k)
        yield _row(f"control pass@{k}", estimate, bounds or "memory wiped")
    yield _row(f"gain at k={settings.episodes}", scores.gain, "pass@k minus control", sign="+")
    if settings.control_episodes:
        most = math.log(settings.control_episodes)
        remark = f"nats, at most {most:.2f} (m = {settings.control_episodes})"
        yield _row("trajectory entropy", scores.trajectory_entropy, remark)
        yield _row("distinct share", scores.distinct_share, "of memory-wiped episodes")
    yield _row("invalid rate", scores.invalid_rate, "share of answers")
    yield ("void trials", f"{scores.num_voids_in_all}", "", f"of {scores.num_trials}")
    prompt, answer = (
        cost.prompt_tokens + control.prompt_tokens,
        cost.answer_tokens + control.answer_tokens,
    )
    yield ("tokens", f"{prompt + answer:,}", "", f"{prompt:,} read, {answer:,} written")
    turns = cost.environment_steps + control.environment_steps
    seconds = cost.seconds + control.seconds
    yield ("time", output.duration(seconds), "", f"{turns:,} turns")
    smallest = smallest_detectable_difference(len(scores.tasks)) if scores.tasks else None
    shown = "-" if smallest is None else f"{smallest:.3f}"
    yield ("detectable difference", shown, "", "in pass@k, at 80 % power")


def _bounds(scores: Scores, bounds: Sequence[tuple[float, float]], k: int) -> str:
    """Where void trials leave the score open: with all of them lost, with all of them won."""
    if not scores.num_voids_in_all or k > len(bounds):
        return ""
    low, high = bounds[k - 1]
    return f"voids lost {low:.3f}, won {high:.3f}"


def _row(
    name: str, estimate: Estimate | None, remark: str = "", sign: str = ""
) -> tuple[str, str, str, str]:
    if estimate is None:
        return (name, "-", "", remark)
    interval = estimate.interval
    ends = f"{interval.low:{sign}.3f} .. {interval.high:{sign}.3f}" if interval else ""
    return (name, f"{estimate.value:{sign}.3f}", ends, remark)


def _void_reasons(scores: Scores) -> list[str]:
    """The most frequent reasons, a line each."""
    if not scores.num_voids_in_all or scores.run_dir is None:
        return []
    voids = (trial.void for trial in RunFolder(Path(scores.run_dir)).trials())
    counts = Counter(f"{void.type}: {void.message}" for void in voids if void is not None)
    lines = [f"void {count} times: {reason}" for reason, count in counts.most_common(3)]
    return [*lines, "Void trials stay in the record; run --fresh plays all of them anew."]


def _print_comparison(comparison: Comparison) -> None:
    a, b = comparison.agent_a, comparison.agent_b
    title = (
        f"{a} against {b} on {comparison.environment} {comparison.split}: "
        f"{comparison.num_tasks} shared tasks"
    )
    extra = (comparison.gain, comparison.trajectory_entropy)
    rows = [*comparison.pass_at, *(difference for difference in extra if difference)]
    columns = ("score", f">{a}", f">{b}", ">difference", ">95 % interval", ">p", "")
    output.print_table(columns, [_difference_row(row) for row in rows], title)
    for note in comparison.notes:
        print(note)


def _difference_row(row: Difference) -> tuple[str, ...]:
    ends = f"{row.interval.low:+.3f} .. {row.interval.high:+.3f}" if row.interval else ""
    return (
        row.name,
        f"{row.a:.3f}",
        f"{row.b:.3f}",
        f"{row.difference:+.3f}",
        ends,
        f"{row.p_holm:.3g}",
        "" if row.is_told_apart else "cannot be told apart",
    )
