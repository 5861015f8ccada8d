"""Low-rank adapters (LoRA, arXiv 2106.09685) through peft: what is trained in place of all weights.

Every linear layer but the output gets ``W + B A``, with A (rank, inputs) drawn from the normal
distribution of variance 1 / inputs and B (outputs, rank) zero, so that training begins at the
start's own policy. The scale of ``B A`` is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lamer_bench.errors import MissingExtraError

ADAPTER = "default"
"""How peft calls the one adapter that there is."""


def add_adapters(model: Any, rank: int, seed: int) -> None:
    """Put adapters into a model, in float32, and freeze the rest; the global torch stream is left
    as it was. Raises `MissingExtraError`."""
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtraError(
            "Training low-rank adapters needs peft. Set lora_rank to 0, or install it: "
            'pip install "lamer-bench[train]"'
        ) from error
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        model.add_adapter(config, ADAPTER)
    stream = torch.Generator().manual_seed(seed)
    for layer in _layers(model).values():
        down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
        drawn = torch.randn(down.shape, generator=stream) / math.sqrt(down.shape[1])
        down.data = drawn.to(down.device)
        up.data = torch.zeros_like(up, dtype=torch.float32)


def has_adapters(model: Any) -> bool:
    """True for a model that `add_adapters` was called on."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


@contextmanager
def without_adapters(model: Any) -> Iterator[None]:
    """Inside, the model is what it was before its adapters."""
    model.disable_adapters()
    try:
        yield
    finally:
        model.enable_adapters()


def merged_state(
    model: Any, whole: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.detach
) -> dict[str, torch.Tensor]:
    """Weights on the CPU under the model's own names, adapters added in; tied ones once.

    ``whole`` puts a weight together that several processes share.
    """
    unique = dict(model.named_parameters())
    tied = dict(model.named_parameters(remove_duplicate=False)).keys() - unique.keys()
    layers = _layers(model) if has_adapters(model) else {}
    state = {}
    for name, value in model.state_dict().items():
        if name in tied or ".lora_" in name:
            continue
        full = whole(value).cpu()
        module = name.removesuffix(".base_layer.weight")
        if module in layers:
            full = (full.float() + _difference(layers[module], whole)).to(full.dtype)
        state[name.replace(".base_layer.", ".")] = full
    return state


def save_adapter(
    model: Any,
    folder: Path,
    base: str,
    whole: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.detach,
    is_main: bool = True,
) -> None:
    """Write the adapters alone, in peft's layout; ``base`` is the model they belong to."""
    from peft import get_peft_model_state_dict

    state = {name: whole(value) for name, value in model.state_dict().items() if ".lora_" in name}
    if not is_main:
        return
    named = get_peft_model_state_dict(model, state, ADAPTER)
    tensors = {
        f"base_model.model.{name}": value.cpu().contiguous() for name, value in named.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config[ADAPTER]
    config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    config.target_modules = sorted(config.target_modules)
    config.inference_mode = True
    config.save_pretrained(str(folder))
    config.inference_mode = False


def _layers(model: Any) -> dict[str, Any]:
    """Name -> linear layer with an adapter, in the model's order."""
    from peft.tuners.lora import LoraLayer

    return {name: one for name, one in model.named_modules() if isinstance(one, LoraLayer)}


def _difference(layer: Any, whole: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """``B A`` as the layer stores its weight: (outputs, inputs), or the other way round."""
    up, down = (whole(part[ADAPTER].weight).cpu() for part in (layer.lora_B, layer.lora_A))
    product: torch.Tensor = layer.scaling[ADAPTER] * (up @ down)
    return product.T if layer.fan_in_fan_out else product
