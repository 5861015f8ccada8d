"""Text backends. Here: a small Llama-type language model in NumPy, so that shipped agents need no
torch.

The forward pass runs in float64. Sums taken in another order (another batch, another BLAS, another
machine) then differ by about 1e-13, and a sampled token differs only where a uniform draw falls
into such a gap between two tokens: a trial's outcome does not depend on its batch. Prompts of one
length are stacked without padding; equal ones are read once, and what a prompt shares with the one
before it in the same attempt is not read again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController
from tokenizers import Tokenizer

from baselines.adapters import chain, load_weights

Array = NDArray[Any]
ROWS_AT_ONCE = 32
"""Prompts in one forward pass: enough to fill the matrix products, few enough to stay in the
cache."""
PREFIX_STEP = 12
"""Shared beginnings are cut to a multiple of this many tokens, so that many rows have one length in
common and can be stacked."""


@dataclass(slots=True)
class Generation:
    """Sampled tokens (the stop token included when there was one) and their log-probabilities."""

    tokens: list[int]
    log_probabilities: list[float]
    """Natural logarithm, at the temperature of the sampling, at 1 where that is 0."""


@dataclass(slots=True)
class Read:
    """A prompt that was read, with its keys and values of each layer: (H, T, D/H)."""

    tokens: Sequence[int]
    keys_values: list[tuple[Array, Array]]

    def shared_with(self, prompt: Sequence[int]) -> int:
        """Tokens that need not be read again; at least the prompt's last always must."""
        most = min(len(self.tokens), len(prompt) - 1)
        same = next((i for i in range(most) if self.tokens[i] != prompt[i]), most)
        return same - same % PREFIX_STEP


@dataclass(slots=True)
class Layer:
    """Weights of one block; matrices are stored (inputs, outputs)."""

    attention_norm: Array  # (D,)
    query_key_value: Array  # (D, 3D)
    output: Array  # (D, D)
    mlp_norm: Array  # (D,)
    gate_up: Array  # (D, 2F)
    down: Array  # (F, D)


class SmallModel:
    """A Llama-type causal language model: RMS norm, rotary positions, SwiGLU, tied embeddings."""

    def __init__(
        self, config: dict[str, Any], weights: dict[str, Array], dtype: DTypeLike = np.float64
    ) -> None:
        self.num_heads = int(config["num_attention_heads"])
        self.width = int(config["hidden_size"])
        self.epsilon = float(config["rms_norm_eps"])
        self.theta = float(_rope_theta(config))
        self.dtype = np.dtype(dtype)
        self.load_weights(weights, int(config["num_hidden_layers"]))

    @classmethod
    def from_folder(cls, folder: str | Path, dtype: DTypeLike = np.float64) -> SmallModel:
        """Read ``config.json`` and ``model.safetensors`` in Hugging Face's layout, or an adapter
        (adapters.py); raises `SettingError`."""
        config = json.loads((chain(folder)[0] / "config.json").read_text(encoding="utf-8"))
        return cls(config, load_weights(folder), dtype)

    def load_weights(self, weights: dict[str, Array], num_layers: int) -> None:
        """Take weights under Hugging Face's names, stored (outputs, inputs)."""

        def get(name: str) -> Array:
            return np.ascontiguousarray(weights[name].astype(self.dtype).T)

        self.embedding = np.ascontiguousarray(get("model.embed_tokens.weight").T)  # (V, D)
        self.final_norm = get("model.norm.weight")
        self.layers = []
        for index in range(num_layers):
            name = f"model.layers.{index}."
            attention, mlp = name + "self_attn.", name + "mlp."
            qkv = [get(f"{attention}{part}_proj.weight") for part in "qkv"]
            self.layers.append(
                Layer(
                    attention_norm=get(name + "input_layernorm.weight"),
                    query_key_value=np.ascontiguousarray(np.concatenate(qkv, axis=1)),
                    output=get(attention + "o_proj.weight"),
                    mlp_norm=get(name + "post_attention_layernorm.weight"),
                    gate_up=np.ascontiguousarray(
                        np.concatenate(
                            [get(mlp + "gate_proj.weight"), get(mlp + "up_proj.weight")], axis=1
                        )
                    ),
                    down=get(mlp + "down_proj.weight"),
                )
            )

    def logits(self, tokens: Array, cache: list[tuple[Array, Array]] | None = None) -> Array:
        """Logits after the last of ``tokens`` (B, T) -> (B, V); ``cache`` holds what came before.

        A cache is a list that this call extends: pass an empty list first, then the same list again
        with the next tokens only.
        """
        rows, length = tokens.shape
        past = cache[0][0].shape[2] if cache else 0
        cos, sin = _rotary(past + length, self.width // self.num_heads, self.theta, self.dtype)
        cos, sin = cos[past:], sin[past:]
        mask = _causal_mask(length, past) if length > 1 else None
        x = self.embedding[tokens]  # (B, T, D)
        for index, layer in enumerate(self.layers):
            is_last = index + 1 == len(self.layers)
            h = self._norm(x, layer.attention_norm).reshape(rows * length, self.width)
            q, k, v = (
                self._heads(part, rows, length)
                for part in np.split(h @ layer.query_key_value, 3, axis=1)
            )
            q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
            if cache is not None:
                if index < len(cache):
                    k = np.concatenate([cache[index][0], k], axis=2)
                    v = np.concatenate([cache[index][1], v], axis=2)
                    cache[index] = (k, v)
                else:
                    cache.append((k, v))
            if is_last:  # only the last position is read after the last layer's keys and values
                q, x, mask_here = q[:, :, -1:], x[:, -1:], None
            else:
                mask_here = mask
            attended = _attend(q, k, v, mask_here)  # (B, H, T', D/H)
            kept = attended.shape[2]
            merged = attended.transpose(0, 2, 1, 3).reshape(rows * kept, self.width)
            x = x + (merged @ layer.output).reshape(rows, kept, self.width)
            h = self._norm(x, layer.mlp_norm).reshape(rows * kept, self.width)
            gate, up = np.split(h @ layer.gate_up, 2, axis=1)
            x = x + (_swish(gate, up) @ layer.down).reshape(rows, kept, self.width)
        result: Array = self._norm(x[:, -1], self.final_norm) @ self.embedding.T
        return result

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        *,
        stop: int,
        max_tokens: int,
        temperature: float = 1.0,
        pads: Sequence[dict[str, Any]] | None = None,
    ) -> list[Generation]:
        """Sample a continuation of each prompt, each from its own stream; temperature 0 is greedy.

        ``pads``: a scratch pad for each row (`View.state`), which keeps what was read for the next
        prompt that begins alike.
        """
        results: list[Generation] = [Generation([], []) for _ in prompts]
        by_shape: dict[tuple[int, int], dict[tuple[int, ...], list[int]]] = {}
        for index, prompt in enumerate(prompts):
            before: Read | None = pads[index].get("read") if pads else None
            shared = before.shared_with(prompt) if before else 0
            equal = by_shape.setdefault((shared, len(prompt)), {})
            equal.setdefault(tuple(prompt), []).append(index)
        with one_blas_thread():
            for (shared, _), equal in by_shape.items():
                different = list(equal.items())
                for start in range(0, len(different), ROWS_AT_ONCE):
                    part = different[start : start + ROWS_AT_ONCE]
                    logits, kv = self._read(part, shared, pads)
                    rows = [row for _, rows in part for row in rows]
                    self._sample_rows(
                        logits,
                        kv,
                        [streams[row] for row in rows],
                        [results[row] for row in rows],
                        stop,
                        max_tokens,
                        temperature,
                    )
        return results

    def _read(
        self,
        part: list[tuple[tuple[int, ...], list[int]]],
        shared: int,
        pads: Sequence[dict[str, Any]] | None,
    ) -> tuple[Array, list[tuple[Array, Array]]]:
        """Logits and cache after different prompts of one length, repeated for their rows."""
        kv: list[tuple[Array, Array]] = []
        if shared and pads:
            reads = [pads[rows[0]]["read"].keys_values for _, rows in part]
            kv = [
                (
                    np.stack([read[layer][0][:, :shared] for read in reads]),
                    np.stack([read[layer][1][:, :shared] for read in reads]),
                )
                for layer in range(len(self.layers))
            ]
        logits = self.logits(np.array([prompt[shared:] for prompt, _ in part]), kv)
        if pads:
            for number, (prompt, rows) in enumerate(part):
                read = Read(prompt, [(k[number], v[number]) for k, v in kv])
                for row in rows:
                    pads[row]["read"] = read
        repeats = [len(rows) for _, rows in part]
        if max(repeats) > 1:
            logits = logits.repeat(repeats, axis=0)
            kv = [(k.repeat(repeats, axis=0), v.repeat(repeats, axis=0)) for k, v in kv]
        return logits, kv

    def _sample_rows(
        self,
        logits: Array,
        kv: list[tuple[Array, Array]],
        streams: list[Random],
        results: list[Generation],
        stop: int,
        max_tokens: int,
        temperature: float,
    ) -> None:
        for length in range(1, max_tokens + 1):
            draws = np.array([stream.random() for stream in streams])
            chosen, log_probabilities = sample(logits, draws, temperature)
            for result, token, log_probability in zip(
                results, chosen.tolist(), log_probabilities.tolist(), strict=True
            ):
                result.tokens.append(token)
                result.log_probabilities.append(log_probability)
            going = np.flatnonzero(chosen != stop)
            if not len(going) or length == max_tokens:
                return
            if len(going) < len(chosen):
                kv = [(k[going], v[going]) for k, v in kv]
                streams = [streams[row] for row in going]
                results = [results[row] for row in going]
            logits = self.logits(chosen[going][:, None], kv)

    def _norm(self, x: Array, weight: Array) -> Array:
        scale = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.epsilon)
        normed: Array = x * scale * weight
        return normed

    def _heads(self, x: Array, rows: int, length: int) -> Array:
        """(B*T, D) -> (B, H, T, D/H)"""
        return x.reshape(rows, length, self.num_heads, -1).transpose(0, 2, 1, 3)


def sample(logits: Array, draws: Array, temperature: float) -> tuple[Array, Array]:
    """Tokens by inverse distribution function, and their log-probabilities at that temperature (at
    1 where it is 0).

    Shapes: logits (B, V), draws (B,) uniform in [0, 1) -> (B,), (B,).
    """
    shifted = (logits - logits.max(axis=1, keepdims=True)) / (temperature or 1.0)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if temperature == 0.0:
        chosen = logits.argmax(axis=1)
    else:
        cumulative = np.exp(shifted).cumsum(axis=1)
        thresholds = draws * cumulative[:, -1]
        chosen = (cumulative <= thresholds[:, None]).sum(axis=1).clip(max=logits.shape[1] - 1)
    return chosen, np.take_along_axis(log_probabilities, chosen[:, None], axis=1)[:, 0]


def one_blas_thread() -> AbstractContextManager[Any]:
    """The matrices are too small to share, and threads that wait for each other beside another busy
    process cost many times more than they gain."""
    limit: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return limit


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """Read ``tokenizer.json``, an adapter's own or that of its model."""
    files = [one / "tokenizer.json" for one in reversed(chain(folder))]
    return Tokenizer.from_file(str(next((file for file in files if file.exists()), files[-1])))


def decode(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Tokens as text: words and glyphs joined by spaces, lines without spaces at their ends."""
    text = " ".join(tokenizer.id_to_token(token) for token in tokens)  # type: ignore[misc]
    return text.replace(" \n ", "\n").replace(" \n", "\n").replace("\n ", "\n")


def _attend(q: Array, k: Array, v: Array, mask: Array | None) -> Array:
    weights = q @ k.transpose(0, 1, 3, 2)
    weights /= np.sqrt(q.shape[-1])
    if mask is not None:
        weights += mask
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=-1, keepdims=True)
    attended: Array = weights @ v
    return attended


def _swish(gate: Array, up: Array) -> Array:
    """gate * sigmoid(gate) * up, in one array: a third faster than with temporary ones."""
    hidden: Array = np.negative(gate)
    np.exp(hidden, out=hidden)
    hidden += 1.0
    np.divide(gate, hidden, out=hidden)
    hidden *= up
    return hidden


def _rotate(x: Array, cos: Array, sin: Array) -> Array:
    half = x.shape[-1] // 2
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    rotated: Array = x * cos + turned * sin
    return rotated


@cache
def _rotary(length: int, size: int, theta: float, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Cosine and sine tables (length, size) in the half-split layout."""
    frequencies = 1.0 / theta ** (np.arange(0, size, 2) / size)
    angles = np.arange(length)[:, None] * frequencies[None, :]
    doubled = np.concatenate([angles, angles], axis=1)
    return np.cos(doubled).astype(dtype), np.sin(doubled).astype(dtype)


@cache
def _causal_mask(length: int, past: int) -> Array:
    return np.triu(np.full((length, past + length), -np.inf), k=past + 1)


def _rope_theta(config: dict[str, Any]) -> float:
    """Hugging Face moved this setting between versions."""
    nested = config.get("rope_parameters") or {}
    return nested.get("rope_theta") or config.get("rope_theta") or 10_000.0
