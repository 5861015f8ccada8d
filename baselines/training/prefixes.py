"""Shared beginnings: texts that begin alike are read once, in training and in rollouts.

The prompts of an attempt share its reflection and most of a board, those of a group the first
board: a LaMer step has about 100,000 tokens, of which 45,000 are different when equal beginnings
count once. So texts are stored as paths in a trie, and a network reads *nodes*: all of them in one
flat row, which everything but attention treats as independent. Attention gathers the keys and
values of each node's path. The result is that of reading each text alone, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F
from transformers import AttentionInterface

Integers = NDArray[np.int64]

NAME = "shared_prefixes"
"""Under which `transformers` finds this attention."""
MODEL_TYPES = ("llama", "qwen2", "qwen3")
"""Architectures whose attention is the plain causal one."""
ROWS_IN_BLOCK = 32
QUERY_SLACK = 12
"""Texts of a block have equal length; their own parts differ by at most this many tokens."""


class Trie:
    """Texts as paths of nodes; a node is a token after a beginning."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def path(self, text: Iterable[int], begun: Sequence[int] = ()) -> list[int]:
        """The nodes of ``begun`` (a path) followed by ``text``; new ones are appended."""
        path = list(begun)
        node = path[-1] if path else -1
        for token in text:
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = self.append(token, len(path))
            node = child
            path.append(node)
        return path

    def append(self, token: int, position: int) -> int:
        """A new node that no other text will find."""
        self.tokens.append(token)
        self.positions.append(position)
        return len(self.tokens) - 1

    def __len__(self) -> int:
        return len(self.tokens)


class Block(NamedTuple):
    """Paths of one length; the last ``num_queries`` nodes of each ask, all are asked."""

    paths: torch.Tensor  # (B, L)
    num_queries: int


@dataclass
class Layout:
    """What the network reads at once: the trie's nodes from ``first`` on."""

    first: int
    tokens: torch.Tensor  # (1, N)
    positions: torch.Tensor  # (1, N)
    blocks: list[Block]
    owners: torch.Tensor  # (N,) which query of all blocks, one after the other, is the node's
    memory: dict[int, torch.Tensor] | None = None
    """Keys and values of nodes before ``first``, by layer; None where there are none to keep."""

    def keys_values(self, layer: int, new: torch.Tensor) -> torch.Tensor:
        """Those of all nodes so far, those of the new ones (N, W) among them."""
        if self.memory is None:
            return new
        needed = self.first + len(new)
        stored = self.memory.get(layer)
        if stored is None or len(stored) < needed:
            grown = new.new_empty((max(2 * needed, 4096), new.shape[1]))
            if stored is not None:
                grown[: self.first] = stored[: self.first]
            stored = self.memory[layer] = grown
        stored[self.first : needed] = new
        return stored


def layout(
    trie: Trie,
    paths: Sequence[Sequence[int]],
    first: int = 0,
    memory: dict[int, torch.Tensor] | None = None,
    device: torch.device | None = None,
) -> Layout:
    """Lay out the nodes from ``first`` on, all of which lie on ``paths``."""
    by_length: dict[int, list[tuple[int, Integers]]] = {}
    seen = first
    for path in sorted(map(np.array, paths), key=lambda path: int(path[-1])):
        # nodes are numbered in the order of the paths that brought them
        own = int((path >= seen).sum())
        if own:
            by_length.setdefault(len(path), []).append((own, path))
            seen = int(path[-1]) + 1
    owners = np.empty(len(trie) - first, dtype=np.int64)
    blocks = []
    base = 0
    for length, members in by_length.items():
        for block in _blocks(sorted(members, key=lambda member: member[0])):
            queries = block[-1][0]
            for number, (own, path) in enumerate(block):
                end = base + (number + 1) * queries
                owners[path[length - own :] - first] = np.arange(end - own, end)
            stacked = torch.from_numpy(np.stack([path for _, path in block])).to(device)
            blocks.append(Block(stacked, queries))
            base += len(block) * queries
    return Layout(
        first,
        torch.tensor([trie.tokens[first:]], device=device),
        torch.tensor([trie.positions[first:]], device=device),
        blocks,
        torch.from_numpy(owners).to(device),
        memory,
    )


def batches(
    texts: Sequence[Sequence[int]], names: Sequence[int], most_tokens: int
) -> Iterator[list[int]]:
    """Cut sorted texts into batches of at most about ``most_tokens`` different nodes; yields the
    texts' names."""
    batch: list[int] = []
    num_nodes = 0
    before: Sequence[int] = ()
    for name, text in zip(names, texts, strict=True):
        own = len(text) - _num_shared(before, text)
        if batch and num_nodes + own > most_tokens:
            yield batch
            batch, num_nodes, own = [], 0, len(text)
        batch.append(name)
        num_nodes += own
        before = text
    if batch:
        yield batch


def _num_shared(one: Sequence[int], other: Sequence[int]) -> int:
    most = min(len(one), len(other))
    return next((i for i in range(most) if one[i] != other[i]), most)


def _blocks(members: list[tuple[int, Integers]]) -> Iterator[list[tuple[int, Integers]]]:
    """Cut paths of one length, sorted by how many nodes are their own."""
    block: list[tuple[int, Integers]] = []
    for member in members:
        if block and (len(block) == ROWS_IN_BLOCK or member[0] > block[0][0] + QUERY_SLACK):
            yield block
            block = []
        block.append(member)
    if block:
        yield block


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    shared: Layout,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each node to its path: (1, H, N, D/H), keys and values of G <= H groups of
    heads, -> (1, N, H, D/H)."""
    num_heads, num_nodes, size = query.shape[1:]
    groups = key.shape[1]
    dtype = value.dtype  # queries and keys come back from the rotation in float32
    flat = (query[0].transpose(0, 1).reshape(num_nodes, -1) * scaling).to(dtype)
    new = torch.stack([key[0].to(dtype), value[0]]).permute(2, 0, 1, 3).reshape(num_nodes, -1)
    stored = shared.keys_values(module.layer_idx, new)
    attended = []
    for paths, num_queries in shared.blocks:
        rows, length = paths.shape
        gathered = F.embedding(paths, stored).view(rows, length, 2, groups, size)
        keys, values = gathered.permute(2, 0, 3, 1, 4)  # (B, G, L, D/H) each
        if groups < num_heads:
            keys = keys.repeat_interleave(num_heads // groups, dim=1)
            values = values.repeat_interleave(num_heads // groups, dim=1)
        # queries beside a path's own are of nodes that another path owns: their result is not used
        asking = (paths[:, length - num_queries :] - shared.first).clamp(min=0)
        queries = F.embedding(asking, flat).view(rows, num_queries, num_heads, size).transpose(1, 2)
        mask = _mask(num_queries, length, dtype, flat.device)
        weights = torch.softmax(queries @ keys.transpose(2, 3) + mask, dim=-1)
        attended.append((weights @ values).transpose(1, 2).reshape(rows * num_queries, -1))
    result = F.embedding(shared.owners, torch.cat(attended))
    return result.view(1, num_nodes, num_heads, size), None


AttentionInterface.register(NAME, attend)


@lru_cache(maxsize=256)
def _mask(num_queries: int, length: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Causal, for the last ``num_queries`` positions of ``length``: (S, L)."""
    full = torch.full((num_queries, length), -1e30, dtype=dtype, device=device)
    return torch.triu(full, diagonal=length - num_queries + 1)
