"""Checkpoints: one file that appears whole or not at all, so that `kill -9` costs at most a few
steps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from baselines.training.model import asdict_or_text
from lamer_bench.errors import SettingError

CHECKPOINT_FILE = "checkpoint.pt"


def save_checkpoint(
    out: Path,
    settings: Any,
    model: torch.nn.Module,
    optimizers: list[torch.optim.Optimizer],
    state: dict[str, Any],
) -> None:
    """Write model, optimisers and position of a training."""
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / (CHECKPOINT_FILE + ".tmp")
    torch.save(
        {
            "settings": asdict_or_text(settings),
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "state": state,
        },
        temporary,
    )
    os.replace(temporary, out / CHECKPOINT_FILE)


def load_checkpoint(
    out: Path, settings: Any, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore a training in place; returns its position, empty when there is no checkpoint.

    Raises `SettingError` when the checkpoint was written with other settings.
    """
    path = out / CHECKPOINT_FILE
    if not path.exists():
        return {}
    content = torch.load(path, weights_only=False)
    if content["settings"] != asdict_or_text(settings):
        raise SettingError(
            f"{path} was written with other settings. Give another --out, or delete that folder."
        )
    model.load_state_dict(content["model"])
    for optimizer, saved in zip(optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    state: dict[str, Any] = content["state"]
    return state
