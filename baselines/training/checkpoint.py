"""Checkpoints: one file that appears whole or not at all, so that `kill -9` costs at most a few
steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from baselines.training.model import asdict_or_text
from lamer_bench.errors import SettingError

CHECKPOINT_FILE = "checkpoint.pt"
MAY_CHANGE = frozenset(
    {
        "checkpoint_steps",
        "device",
        "gradient_checkpointing",
        "micro_batch_tokens",
        "rollout_tokens",
        "rollout_url",
        "start_share",
        "workers",
    }
)
"""Settings of speed, memory and place, and of what is written at the end: a training may go on with
others."""


class HasState(Protocol):
    """A network, a policy or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """All that must be kept of it."""

    def load_state_dict(self, state: Any) -> Any:
        """Take it back."""


def save_checkpoint(
    out: Path,
    settings: Any,
    model: HasState,
    optimizers: Sequence[HasState],
    state: dict[str, Any],
    vocabulary: str = "",
    start: str = "",
    is_main: bool = True,
) -> None:
    """Write model, optimisers and position of a training; ``vocabulary`` names its tokenizer,
    ``start`` the weights that it leaves as they were.

    Of several processes all must call, for they may have to put weights together; the main one
    writes.
    """
    content = {
        "settings": asdict_or_text(settings),
        "vocabulary": vocabulary,
        "start": start,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "state": state,
    }
    if not is_main:
        return
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / (CHECKPOINT_FILE + ".tmp")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, out / CHECKPOINT_FILE)


def load_checkpoint(
    out: Path,
    settings: Any,
    model: HasState,
    optimizers: Sequence[HasState],
    vocabulary: str = "",
    start: str = "",
) -> dict[str, Any]:
    """Restore a training in place; returns its position, empty when there is no checkpoint.

    Raises `SettingError` when the checkpoint was written with other settings but those of
    `MAY_CHANGE`, with another tokenizer, over other weights or for a network of another shape.
    """
    path = out / CHECKPOINT_FILE
    if not path.exists():
        return {}
    content = torch.load(path, map_location="cpu", weights_only=False)
    way_out = "Give another --out, or delete that folder."
    if different := _differences(content["settings"], asdict_or_text(settings)):
        raise SettingError(f"{path} was written with other settings ({different}). {way_out}")
    if content.get("vocabulary", vocabulary) != vocabulary:
        raise SettingError(f"{path} was written with another tokenizer than the start's. {way_out}")
    if content.get("start", start) != start:  # older checkpoints do not say
        raise SettingError(f"{path} was written over other weights than the start's. {way_out}")
    try:
        model.load_state_dict(content["model"])
    except RuntimeError as error:
        raise SettingError(
            f"{path} holds a network of another shape than the start's. {way_out}"
        ) from error
    for optimizer, saved in zip(optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    state: dict[str, Any] = content["state"]
    return state


def _differences(saved: Mapping[str, Any], given: Any) -> str:
    """The settings that are not the same, as text: ``steps 3, now 4``."""
    return ", ".join(
        f"{name} {saved.get(name)!r}, now {given.get(name)!r}"
        for name in dict.fromkeys([*saved, *given])
        if name not in MAY_CHANGE
        if saved.get(name) != given.get(name) or (name in saved) != (name in given)
    )


def diverged(settings: Any, step: int) -> SettingError:
    """What to say when numbers stop being finite."""
    rates = " or ".join(
        f"{name} ({getattr(settings, name):g})"
        for name in ("learning_rate", "muon_rate")
        if hasattr(settings, name)
    )
    return SettingError(
        f"The loss, a gradient or a weight is not finite in step {step + 1}; the last checkpoint "
        f"is from before. Lower {rates} and give another --out."
    )
