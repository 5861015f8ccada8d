"""Sampling from the network that is trained, for rollouts.

On a CPU nothing is read twice. Keys and values of everything that was read in a rollout stay in
memory under their place in the trie (prefixes.py), for all trials together; a batch of prompts
costs one pass over what is new in it, and a step of sampling one pass over the answers that go on.
A GPU, on which a pass over hundreds of short prompts takes hardly longer than to start it, reads
all prompts anew for each token.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch

from baselines.models import Array, Generation, sample
from baselines.training.prefixes import Trie, layout

MOST_NODES = 100_000
"""When more is remembered, all is forgotten before the next batch; in the shipped sizes about 200
MB."""


class PrefixGenerator:
    """Samples continuations as `SmallModel` does, with a torch model that attends to shared
    prefixes."""

    def __init__(self, model: Any, precision: torch.dtype = torch.float32) -> None:
        self.model = model
        self.precision = precision
        self._forget()

    def _forget(self) -> None:
        self._trie = Trie()
        self._memory: dict[int, torch.Tensor] = {}
        self._logits: dict[int, Array] = {}

    @torch.inference_mode()
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

        ``pads`` are not needed: the memory is this object's own.
        """
        if len(self._trie) > MOST_NODES:
            self._forget()
        with _products_in(self.precision, self.model.device):
            return self._generate(prompts, streams, stop, max_tokens, temperature)

    def _generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        stop: int,
        max_tokens: int,
        temperature: float,
    ) -> list[Generation]:
        results = [Generation([], []) for _ in prompts]
        first = len(self._trie)
        paths = [self._trie.path(prompt) for prompt in prompts]
        going = list(range(len(prompts)))
        for length in range(1, max_tokens + 1):
            logits = self._read([paths[row] for row in going], first)
            _write_next(logits, going, results, streams, temperature)
            going = [row for row in going if results[row].tokens[-1] != stop]
            if not going or length == max_tokens:
                break
            first = len(self._trie)
            for row in going:
                paths[row] = self._trie.path(results[row].tokens[-1:], begun=paths[row])
        return results

    def _read(self, paths: list[list[int]], first: int) -> Array:
        """Logits after each path, whose nodes from ``first`` on have not been read: (R, V)."""
        for path in paths:
            if path[-1] < first and path[-1] not in self._logits:  # the middle of another text
                path[-1] = self._trie.append(self._trie.tokens[path[-1]], len(path) - 1)
        if len(self._trie) > first:
            new = sorted({path[-1] for path in paths if path[-1] not in self._logits})
            shared = layout(self._trie, paths, first, self._memory, self.model.device)
            hidden = self.model.base_model(
                input_ids=shared.tokens,
                position_ids=shared.positions,
                use_cache=False,
                shared=shared,
            ).last_hidden_state[0]
            ends = hidden[torch.tensor(new, device=hidden.device) - first]
            logits = self.model.get_output_embeddings()(ends)
            self._logits.update(zip(new, logits.float().cpu().numpy(), strict=True))
        return np.stack([self._logits[path[-1]] for path in paths])


class PaddedGenerator:
    """Samples continuations as `SmallModel` does, with a torch model on a GPU."""

    def __init__(self, model: Any, pad: int, precision: torch.dtype = torch.float32) -> None:
        self.model = model
        self.pad = pad
        self.precision = precision

    @torch.inference_mode()
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

        ``pads`` are not needed: nothing is kept.
        """
        results = [Generation([], []) for _ in prompts]
        going = list(range(len(prompts)))
        for _ in range(max_tokens):
            logits = self._read([[*prompts[row], *results[row].tokens] for row in going])
            _write_next(logits, going, results, streams, temperature)
            going = [row for row in going if results[row].tokens[-1] != stop]
            if not going:
                break
        return results

    def _read(self, texts: Sequence[Sequence[int]]) -> Array:
        """Logits after each text: (R, V). A causal network does not see padding on the right."""
        lengths = np.array([len(text) for text in texts])
        tokens = np.full((len(texts), lengths.max()), self.pad, dtype=np.int64)
        for line, text in zip(tokens, texts, strict=True):
            line[: len(text)] = text
        device = self.model.device
        with _products_in(self.precision, device):
            hidden = self.model.base_model(
                torch.from_numpy(tokens).to(device), use_cache=False
            ).last_hidden_state
            ends = hidden[torch.arange(len(texts)), torch.from_numpy(lengths - 1)]
            logits: Array = self.model.get_output_embeddings()(ends).float().cpu().numpy()
        return logits


def _write_next(
    logits: Array,
    going: Sequence[int],
    results: Sequence[Generation],
    streams: Sequence[Random],
    temperature: float,
) -> None:
    """Sample one more token of each row that is ``going``, whose logits these are: (R, V)."""
    draws = np.array([streams[row].random() for row in going])
    chosen, log_probabilities = sample(logits, draws, temperature)
    for row, token, value in zip(going, chosen.tolist(), log_probabilities.tolist(), strict=True):
        results[row].tokens.append(token)
        results[row].log_probabilities.append(value)


def _products_in(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """The context in which matrix products have this precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16)
