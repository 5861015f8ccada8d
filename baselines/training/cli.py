"""`lamer-bench train`: the settings dataclass of an algorithm is its command line and its help.

A field's name is the option, its default the default, the text beneath it the help.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from baselines.training.distributed import is_first, launched_here
from baselines.training.gigpo import GigpoSettings, train_gigpo
from baselines.training.grpo import GrpoSettings, train_grpo
from baselines.training.lamer import LamerSettings, train_lamer
from baselines.training.log import session
from baselines.training.ppo import PpoSettings, train_ppo
from baselines.training.rloo import RlooSettings, train_rloo
from baselines.training.supervised import SupervisedSettings, train_supervised
from lamer_bench.errors import SettingError

ALGORITHMS: dict[str, tuple[type, Callable[[Any, Path], Path]]] = {
    "supervised": (SupervisedSettings, train_supervised),
    "ppo": (PpoSettings, train_ppo),
    "rloo": (RlooSettings, train_rloo),
    "grpo": (GrpoSettings, train_grpo),
    "gigpo": (GigpoSettings, train_gigpo),
    "lamer": (LamerSettings, train_lamer),
}


def main(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Train as the arguments say; returns where the policy is and what it was trained with, of
    several processes in the first alone."""
    parser = build_parser()
    options = vars(parser.parse_args(arguments))
    algorithm, out, threads = options.pop("algorithm"), options.pop("out"), options.pop("threads")
    options.pop("json")
    tensorboard = options.pop("tensorboard")
    settings_class, train = ALGORITHMS[algorithm]
    if threads < 1:
        raise SettingError(f"threads is {threads}; it must be at least 1.")
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # of reading weights: a line for each file
    torch.set_num_threads(threads)
    settings = settings_class(
        **{name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    )
    with session(algorithm, settings, tensorboard=tensorboard):
        folder = train(settings, out)
    if not is_first():
        return None
    return {"algorithm": algorithm, "policy": str(folder), "out": str(out)}


def build_parser() -> argparse.ArgumentParser:
    """One subcommand for each algorithm."""
    parser = argparse.ArgumentParser(
        prog="lamer-bench train", description="Train a small language model. Resumes by itself."
    )
    algorithms = parser.add_subparsers(dest="algorithm", required=True, metavar="ALGORITHM")
    for name, (settings_class, _) in ALGORITHMS.items():
        summary = (inspect.getdoc(settings_class) or "").splitlines()[0]
        command = algorithms.add_parser(
            name, help=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.add_argument(
            "--out", type=Path, required=True, help="folder for checkpoints, log and policy"
        )
        command.add_argument(
            "--threads",
            type=int,
            default=max(1, (os.cpu_count() or 1) // launched_here()),
            help="torch's CPU threads in each process",
        )
        command.add_argument("--json", action="store_true", help="print one JSON object at the end")
        command.add_argument(
            "--tensorboard", action="store_true", help="write TensorBoard's event files, too"
        )
        _add_settings(command, settings_class)
    return parser


def _add_settings(command: argparse.ArgumentParser, settings_class: type) -> None:
    hints = get_type_hints(settings_class)
    helps = field_docs(settings_class)
    for setting in fields(settings_class):
        default = _default(setting)
        kind = hints[setting.name]
        options: dict[str, Any] = {"help": helps.get(setting.name, " "), "dest": setting.name}
        if default is MISSING:
            options["required"] = True
        else:
            options["default"] = default
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif is_dataclass(kind) or get_origin(kind) is dict:
            options["type"] = _from_json(kind)
            options["metavar"] = "JSON"
        elif get_origin(kind) is tuple:
            options["nargs"] = "+"
            options["type"] = get_args(kind)[0]
        elif get_args(kind):
            options["choices"] = get_args(kind)
        else:
            options["type"] = kind
        command.add_argument("--" + setting.name.replace("_", "-"), **options)


def field_docs(settings_class: type) -> dict[str, str]:
    """The text beneath each field, over the class and its bases."""
    docs: dict[str, str] = {}
    for cls in reversed(settings_class.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, following in zip(body.body, body.body[1:], strict=False):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_text:
                docs[node.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return {name: text.replace("%", "%%") for name, text in docs.items()}


def _default(setting: Field[Any]) -> Any:
    if setting.default_factory is not MISSING:
        return setting.default_factory()
    return setting.default


def _from_json(kind: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = json.loads(text)
            if not isinstance(value, dict):
                raise TypeError('it must be an object, as {"name": 1}')
            return kind(**value) if isinstance(kind, type) and is_dataclass(kind) else value
        except (json.JSONDecodeError, TypeError, SettingError) as error:
            # argparse shows the text of no other error
            reason = str(error).rstrip(".")
            raise argparse.ArgumentTypeError(
                f"{text!r} does not fit this setting, which is JSON: {reason}."
            ) from error

    read.__name__ = "JSON"
    return read
