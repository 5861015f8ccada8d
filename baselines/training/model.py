"""The small policy: a Llama-type causal language model and its word-level tokenizer, both from
scratch.

Every glyph of a board, every cell name ``(2,3)`` and every tag is one token: a move is one
decision, and a board costs as many tokens as it has cells. WebShop has a vocabulary of its own,
the short names of `baselines.webshop_prompt`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from baselines import webshop_prompt
from baselines.training.demonstrations import LARGEST_BOARD
from baselines.training.settings import Checked
from lamer_bench.errors import SettingError

_TOKEN = r"</?(?:action|remark)>|\([0-9]+,[0-9]+\)|[A-Za-z]+|[0-9]+(?:/[0-9]+)?|\n|[^\sA-Za-z0-9]"
_SHOP_TOKEN = r"\n|\S+"
_SPECIAL = ["<pad>", "<unk>", "<eos>"]
_TAGS = ["<action>", "</action>", "<remark>", "</remark>"]
_GLYPHS = list("\n?.*#-@_OXP√SUDLR,:;+()<>/$")
_WORDS = """
That is not an action Name a hidden cell like this was mine The attempt is over Mines
Every safe open Solved Actions up down left right Answer with move moves one to of or
and box boxes stuck at plan failed push pushed into then Out turns
one the rules say how many turn may hold Every every target on
""".split()  # noqa: SIM905
LARGEST_NUMBER = 64


@dataclass(frozen=True)
class ModelSize(Checked):
    """Shape of the network."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    mlp_width: int = 384

    def check(self) -> None:
        for name in ("width", "layers", "heads", "mlp_width"):
            self.at_least(name, 1)
        if self.width % (2 * self.heads):
            raise SettingError(
                f"width is {self.width} with {self.heads} heads; it must be a multiple of "
                f"{2 * self.heads}."
            )


def build_tokenizer(family: str = "") -> Tokenizer:
    """The vocabulary of WebShop, or of both board families; unknown words become ``<unk>``."""
    is_shop = family == "webshop"
    tokens = [*_SPECIAL, *_TAGS, *(webshop_prompt.tokens() if is_shop else _board_tokens())]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    pattern = Regex(_SHOP_TOKEN if is_shop else _TOKEN)
    tokenizer.pre_tokenizer = Split(pattern, behavior="removed", invert=True)
    return tokenizer


def _board_tokens() -> list[str]:
    cells = [
        f"({row},{column})"
        for row in range(1, LARGEST_BOARD + 1)
        for column in range(1, LARGEST_BOARD + 1)
    ]
    numbers = [str(number) for number in range(LARGEST_NUMBER + 1)]
    counts = [f"{mines}/{cells}" for cells in range(1, 9) for mines in range(cells + 1)]
    return [*_GLYPHS, *numbers, *cells, *counts, *_WORDS]


def build_model(tokenizer: Tokenizer, size: ModelSize, seed: int) -> LlamaForCausalLM:
    """A freshly initialised model; the global torch stream is left as it was."""
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=size.width,
        intermediate_size=size.mlp_width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<eos>"),
        pad_token_id=tokenizer.token_to_id("<pad>"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def add_layers(model: LlamaForCausalLM, number: int) -> None:
    """Insert layers, evenly spread, that do nothing yet: copies of the layer before, whose outputs
    are zero (block expansion, arXiv 2401.02415).

    The model answers exactly as before, and training can make use of them.
    """
    blocks = model.model.layers
    deeper = torch.nn.ModuleList()
    for index, block in enumerate(blocks):
        deeper.append(block)
        behind = (index + 1) * number // len(blocks) - index * number // len(blocks)
        for _ in range(behind):
            idle = copy.deepcopy(block)
            torch.nn.init.zeros_(idle.self_attn.o_proj.weight)
            torch.nn.init.zeros_(idle.mlp.down_proj.weight)
            deeper.append(idle)
    for index, layer in enumerate(deeper):
        attention: Any = layer.self_attn
        attention.layer_idx = index  # its place in a key-value cache
    model.model.layers = deeper
    model.config.num_hidden_layers = len(deeper)


def save_policy(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    folder: str | Path,
    training: dict[str, object],
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a folder that `transformers` and `baselines.models` both load; weights in float16.

    ``training`` (algorithm, settings, seeds, steps) is stored as ``training.json``; ``weights`` are
    the model's own unless given.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    state = {
        name: value.detach().to(torch.float16).contiguous().cpu()
        for name, value in (weights or model.state_dict()).items()
        if name != "lm_head.weight" and "map_head" not in name  # tied; used in training only
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>"
    ).save_pretrained(folder)
    text = json.dumps(training, indent=2, default=asdict_or_text)
    (folder / "training.json").write_text(text + "\n", encoding="utf-8")


def attention_on(device: torch.device) -> str:
    """The fastest implementation for prompts of a small policy's length."""
    return "eager" if device.type == "cpu" else "sdpa"


def load_policy(folder: str | Path) -> tuple[LlamaForCausalLM, Tokenizer]:
    """Read such a folder back, weights in float32; raises `SettingError`."""
    folder = Path(folder).expanduser()
    if not (folder / "config.json").exists() or not (folder / "tokenizer.json").exists():
        raise SettingError(
            f"There is no policy in {folder} (config.json, tokenizer.json). Give a policy's "
            "folder, such as OUT/policy of `lamer-bench train supervised`."
        )
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, attn_implementation="eager"
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise SettingError(f"{folder} does not hold a language model: {reason}") from error
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def asdict_or_text(value: object) -> object:
    """JSON for dataclasses and paths."""
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)  # type: ignore[call-overload]
