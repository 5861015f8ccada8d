"""Low-rank adapters in NumPy: a shared model and a small file for each policy that was trained on
it.

An adapter's folder has peft's layout: ``adapter_model.safetensors`` with B (outputs, rank) and A
(rank, inputs) for each matrix W, and ``adapter_config.json``, which names the folder of the model
that it belongs to, best relative to itself (``../supervised``). That may be an adapter, too. The
sum W + B A is taken in float64, as the forward pass is, so that it is the same everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from lamer_bench.errors import SettingError

Array = NDArray[Any]
ADAPTER_FILE = "adapter_config.json"
MODEL_WEIGHTS = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False,),
    "use_rslora": (False,),
    "fan_in_fan_out": (False,),
    "modules_to_save": (None, []),
    "rank_pattern": ({},),
    "alpha_pattern": ({},),
}
"""What makes an adapter more than W + (alpha / rank) B A, and its values where it does not."""


def base_name(folder: str | Path) -> str:
    """What an adapter says that it belongs to: a folder, seen from its own or from the present one,
    or a name of the hub. Raises `SettingError`."""
    file = Path(folder) / ADAPTER_FILE
    base = _config(folder).get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise SettingError(f"{file} does not say which model it belongs to; fill it in.")
    beside = Path(folder) / base
    return str(beside.resolve()) if beside.is_dir() else base


def chain(folder: str | Path) -> list[Path]:
    """The folder of a model and those of the adapters on it, in their order, ending with
    ``folder``; raises `SettingError`."""
    folders = [Path(folder)]
    while (folders[0] / ADAPTER_FILE).exists():
        base = Path(base_name(folders[0])).expanduser()
        if not base.is_dir() or base in folders:
            raise SettingError(
                f"The adapter in {folders[0]} belongs to {str(base)!r}, which is no folder of "
                f"another model. Correct base_model_name_or_path in its {ADAPTER_FILE}."
            )
        folders.insert(0, base)
    return folders


def weight_files(folder: str | Path) -> list[Path]:
    """The files that hold a model's weights, adapters last."""
    base, *adapters = chain(folder)
    return [base / MODEL_WEIGHTS, *(adapter / ADAPTER_WEIGHTS for adapter in adapters)]


def load_weights(folder: str | Path) -> dict[str, Array]:
    """Weights under Hugging Face's names, as they are stored; those with an adapter, which is added
    in, in float64. Raises `SettingError` for an adapter that is more than W + B A."""
    base, *adapters = chain(folder)
    weights = load_file(base / MODEL_WEIGHTS)
    for adapter in adapters:
        _add(weights, adapter)
    return weights


def _add(weights: dict[str, Array], folder: Path) -> None:
    config = _config(folder)
    for name, plain in _PLAIN.items():
        if name in config and config[name] not in plain:
            raise SettingError(
                f"{folder / ADAPTER_FILE} sets {name} to {config[name]!r}, which is known with "
                "torch and peft only. Play it as agent local, or merge it into its model."
            )
    scale = config["lora_alpha"] / config["r"]
    parts = load_file(folder / ADAPTER_WEIGHTS)
    for name, down in parts.items():
        module, _, kind = name.removeprefix("base_model.model.").partition(".lora_")
        matrix = f"{module}.weight"
        if kind not in ("A.weight", "B.weight") or matrix not in weights:
            raise SettingError(f"{folder} adapts {name}, and the model it belongs to has no such.")
        if kind == "A.weight":
            up = parts[name.replace(".lora_A.", ".lora_B.")].astype(np.float64)
            weights[matrix] = weights[matrix].astype(np.float64) + scale * (up @ down)


def _config(folder: str | Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((Path(folder) / ADAPTER_FILE).read_text(encoding="utf-8"))
    return config
