"""The pages of the agents: one for each name of the catalogue, trained algorithms included.

What a page says comes from the code: the docstrings of the agent's class and of the module that
trains it, its parameters, the settings that its shipped policies were trained with, and the table
of results. What cannot be read off the code stands here: what each logged metric means, and the
commands.
"""

from __future__ import annotations

import ast
import csv
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lamer_bench.agent import Agent
from lamer_bench.registry import AGENTS

ROOT = Path(__file__).resolve().parent.parent
ALGORITHMS = ("supervised", "ppo", "rloo", "grpo", "gigpo", "lamer")
SCRIPTED = ("random", "explorer", "oracle")
PROMPTING = ("zero-shot", "react", "reflexion")
WEIGHTS = ROOT / "baselines" / "weights"
SHAPE = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp_width": "intermediate_size",
}
"""The parts of a network's size -> what config.json calls them."""

LOGGED = {
    "pass_at_k": "share of the rollout's trials that were won in one of their first k attempts, "
    "a metric for each k",
    "episode_reward": "mean undiscounted sum of rewards of an episode, in the environment's unit",
    "invalid_rate": "answers that were no action / answers, 0..1",
    "loss": "clipped policy loss, mean over tokens; its sign says little",
    "entropy": "of the policy at the sampled tokens, in nats per token",
    "kl": "log-probability at the rollout minus now, in nats per token: how far the update went",
    "ratio_error": "mean |probability ratio - 1| in the first minibatch; above 0 only by rounding",
    "clip_share": "tokens whose ratio lies outside the clip range, 0..1",
    "gradient_norm": "of all trained weights before clipping",
    "value_loss": "squared error of the value head, mean over answers (with `ppo`'s estimator)",
    "reference_kl": "KL divergence to the start, in nats per token (with `--reference-kl`)",
    "rollout_seconds": "time of the rollout",
    "update_seconds": "time of the update",
    "rollout_share": "rollout / whole step, 0..1",
    "tokens_per_second": "tokens of the rollout, read and written / time of the step",
}
LOGGED_BY_SUPERVISED = {
    "act_loss": "divergence of actions from the targets, in nats per token; 0 is perfect",
    "act_accuracy": "tokens of actions where the likeliest is among the targets' likeliest, 0..1",
    "reflect_loss": "the same divergence of reflections",
    "reflect_accuracy": "the same share of reflections",
    "gradient_norm": "of all weights before clipping",
    "tokens_per_second": "tokens read / time of the step",
}

IDEAS = {
    "human": "Play it yourself: the same views, the same limits, the same record as any agent.",
    "local": "Evaluate or train a model of your own: see [Evaluate a model](../evaluate.md).",
}


def pages(note: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every page."""
    for name in AGENTS:
        cls = AGENTS.load(name)
        if not cls.__module__.startswith("tests."):
            yield f"docs/agents/{name}.md", note + page(name, cls)


def page(name: str, cls: type[Agent]) -> str:
    """One page."""
    parts = [f"# {name}", "## Idea", *idea(name, cls), "## Details", details(name, cls)]
    if name in ALGORITHMS:
        parts += ["## Logged metrics", logged(name)]
    parts += ["## Results", results(name), "## Recipe", recipe(name)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def idea(name: str, cls: type[Agent]) -> list[str]:
    """What the class and the module behind it say of it."""
    module = inspect.getmodule(cls)
    texts = [inspect.getdoc(cls) or "", IDEAS.get(name, "")]
    if name in ALGORITHMS:
        texts.append(docstring(ROOT / "baselines" / "training" / f"{name}.py"))
    else:
        texts.append(inspect.getdoc(module) or "")
    return [text for text in texts if text]


def details(name: str, cls: type[Agent]) -> str:
    """What it may see, whether it can be repeated, its options, its code."""
    rows = [
        ("memory (default first)", ", ".join(cls.memories)),
        ("told the solution", "yes: never ranked" if cls.told_solution else "no"),
        ("repeatable bit by bit", "yes" if cls.deterministic else "no"),
        ("code", code_link(f"{cls.__module__.replace('.', '/')}")),
    ]
    if name in ALGORITHMS:
        rows.append(("training", code_link(f"baselines/training/{name}")))
    text = table(("property", "value"), rows)
    if options := option_rows(cls):
        text += "\n\nOptions (`--agent-option NAME=VALUE`):\n\n" + table(
            ("option", "default"), options
        )
    if name in PROMPTING:
        text += "\n\nThe options of the three prompting agents are in [Evaluate a model]"
        text += "(../evaluate.md#behind-a-server)."
    if name in ALGORITHMS:
        text += f"\n\n{shipped(name)}\n\nEvery setting: [Training](../training.md#settings)."
    return text


def option_rows(cls: type[Agent]) -> list[tuple[str, str]]:
    """The parameters of the class that have a name."""
    named = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if cls.__init__ is Agent.__init__:
        return []
    return [
        (f"`{one.name}`", "required" if one.default is one.empty else f"`{one.default}`")
        for one in inspect.signature(cls).parameters.values()
        if one.kind is named
    ]


def shipped(name: str) -> str:
    """The policies that ship, with the settings that they were trained with."""
    files = sorted(WEIGHTS.glob(f"*/{name}/training.json"))
    if not files:
        return "No policy ships; train one (below)."
    stored = {file.parent.parent.name: trained_with(file) for file in files}
    names = list(dict.fromkeys(key for one in stored.values() for key in one))
    rows = [(f"`{key}`", *(shown(one.get(key)) for one in stored.values())) for key in names]
    text = "The policies that ship were trained with (a dash: nothing, or no such setting then):"
    if name == "supervised":
        text = (
            "The starts that ship were trained with what follows (a dash: nothing, or no such "
            "setting then). Only the last stage of each is listed. Where `start` or `player` names "
            "another stage, that one came before; its settings are in "
            f"{code_link('recipes/train_algorithms.sh')}. `size` is that of the network that ships."
        )
    return f"{text}\n\n{table(('setting', *stored), rows)}"


def trained_with(file: Path) -> dict[str, Any]:
    """The settings in a policy's training.json; the size is its network's, since a training that
    goes on from a start ignores the setting."""
    settings: dict[str, Any] = json.loads(file.read_text("utf-8"))["settings"]
    if "size" in settings:
        config = json.loads(file.with_name("config.json").read_text("utf-8"))
        settings["size"] = {part: config[key] for part, key in SHAPE.items()}
    return settings


def shown(value: Any) -> str:
    """A setting in a cell."""
    if value in (None, ""):
        return "-"
    return f"`{json.dumps(value)}`" if isinstance(value, dict | list) else f"`{value}`"


def policies() -> str:
    """Which policies ship, by family."""
    families = sorted({file.parent.parent.name for file in WEIGHTS.glob("*/*/training.json")})
    rows = []
    for family in families:
        own = [name for name in ALGORITHMS if (WEIGHTS / family / name).is_dir()]
        rows.append((f"[`{family}`](environments/{family}.md)", ", ".join(f"`{n}`" for n in own)))
    return table(("family", "trained agents that ship for it"), rows)


def logged(name: str) -> str:
    """What each number of metrics.jsonl means."""
    meanings = LOGGED_BY_SUPERVISED if name == "supervised" else LOGGED
    has_values = name in ("ppo", "lamer")
    rows = [
        (f"`{metric}`", meaning)
        for metric, meaning in meanings.items()
        if metric != "value_loss" or has_values
    ]
    return (
        "`metrics.jsonl` holds one object for each step; [Training](../training.md#watching-it) "
        "says how to watch them, and `lamer-bench plot FOLDER` draws them.\n\n"
        + table(("metric", ""), rows)
    )


def results(name: str) -> str:
    """Its rows of the results, or where they are."""
    if name in ALGORITHMS:
        return own_results(name, "algorithms.csv", ", the policy of seed 0")
    if name in SCRIPTED:
        return own_results(name, "reference.csv")
    if name == "random-first":
        return (
            "In [Results](../results.md#what-the-gain-is-made-of), question a: the first attempt "
            "played at random, the others by `lamer`."
        )
    if name == "human":
        return "None are published: nobody was asked to play a whole run."
    return "None are published here: they would be those of the model or agent that you name."


def own_results(name: str, source: str, which: str = "") -> str:
    """Its rows of a file of results, as a table."""
    with (ROOT / "docs" / "results" / source).open(encoding="utf-8") as file:
        own = [row for row in csv.DictReader(file) if row["agent"] == name and row["seed"] == "0"]
    if not own:
        return "None are published yet."
    rows = [
        (
            "-".join((row["env"], *filter(None, [row.get("level")]))),
            percent(row, "pass_at_1"),
            percent(row, "pass_at_3"),
            f"{float(row.get('independent_pass_at_3') or row['control_pass_at_3']):.1%}",
            percent(row, "gain", sign="+"),
        )
        for row in own
    ]
    head = ("environment", "pass@1", "pass@3", "control pass@3", "gain")
    return (
        f"{own[0]['tasks']} test tasks of each environment{which}, memory "
        f"`{own[0]['memory']}`, from [results/{source}](../results/{source}); in brackets 95 % "
        f"intervals. [Results](../results.md) has the other agents.\n\n{table(head, rows)}"
    )


def percent(row: dict[str, str], name: str, sign: str = "") -> str:
    """A share with its interval."""
    value, low, high = (f"{float(row[name + end]):{sign}.1%}" for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def recipe(name: str) -> str:
    """The commands."""
    run = f"lamer-bench run --agent {name} --env minesweeper-hard --tasks 20"
    if name in ALGORITHMS:
        start = "" if name == "supervised" else " --start START/policy"
        lines = [
            f"{run}   # the policy that ships",
            f"lamer-bench train {name}{start} --out OUT",
            "lamer-bench run --agent local --agent-option model=OUT/policy --env minesweeper-hard",
        ]
        text = f"{block(lines)}\n\nThe policies that ship, start to end, are trained by "
        text += code_link("recipes/train_algorithms.sh") + ", compared in the table above by "
        return text + code_link("recipes/compare_algorithms.py") + "."
    if name in PROMPTING:
        lines = ["export OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_MODEL=Qwen/Qwen3-4B", run]
    elif name == "local":
        lines = [f"{run} --agent-option model=MODEL"]
    elif name == "random-first":
        lines = [f"{run} --agent-option agent=lamer"]
    elif name == "human":
        lines = ["lamer-bench play minesweeper-hard", f"{run} --out runs/me"]
    else:
        lines = [run]
        text = f"{block(lines)}\n\nThe table above: "
        return text + code_link("recipes/reference_runs.py") + "."
    return block(lines)


def block(lines: Iterable[str]) -> str:
    """Commands."""
    return "```bash\n" + "\n".join(lines) + "\n```"


def code_link(path: str) -> str:
    """A link to a source file of the repository, which is given without its ending."""
    found = next(
        one for one in (path, f"{path}.py", f"{path}/__init__.py") if (ROOT / one).is_file()
    )
    return f"[`{found}`](../../{found})"


def docstring(file: Path) -> str:
    """A module's docstring, without importing it."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
