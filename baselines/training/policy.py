"""Policy: a causal language model as the loop sees it: it writes answers, it evaluates rows, it is
saved.

There are two ways to put rows of different length into one batch. Small models on a CPU read shared
beginnings once (prefixes.py). Otherwise rows are padded on the right, which a causal network never
sees from the left, so that no attention mask is needed. Either way only the positions that predict
an answer's tokens go through the vocabulary's matrix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from baselines.language_agent import Generator, Written, write
from baselines.training import prefixes
from baselines.training.generator import PrefixGenerator
from baselines.training.model import save_policy
from baselines.training.rollouts import Row, Writer
from lamer_bench.agent import View
from lamer_bench.errors import SettingError

Precision = Literal["float32", "bfloat16"]
TOKENS_AT_ONCE = 4096
"""In one forward and backward pass on a CPU: few enough for the activations to stay in the
cache."""


class Evaluation(NamedTuple):
    """What a policy says of rows: N answer tokens, one row's after the other's, of R rows."""

    log_probabilities: torch.Tensor  # (N,) of the tokens that were sampled, in nats
    entropies: torch.Tensor  # (N,) of the distributions they were sampled from, in nats
    values: torch.Tensor | None  # (R,) None without a value head


class Batch(NamedTuple):
    """Rows as tensors: N answer tokens of R rows."""

    inputs: dict[str, Any]
    """What the network's trunk is called with; it returns hidden states (B, T, D), which are then
    taken as one list of B * T positions."""
    predictors: torch.Tensor  # (N,) the position that predicts each answer token
    answers: torch.Tensor  # (N,) the token
    ends: torch.Tensor  # (R,) the position of each prompt's last token


def padded(rows: Sequence[Row], pad: int, device: torch.device) -> Batch:
    """A line for each row: prompt and answer without its last token, padded on the right."""
    texts = [[*row.prompt, *row.tokens[:-1]] for row in rows]
    longest = max(map(len, texts))
    tokens = [text + [pad] * (longest - len(text)) for text in texts]
    return _batch(
        rows,
        {"input_ids": torch.tensor(tokens, device=device)},
        [range(number * longest, (number + 1) * longest) for number in range(len(rows))],
        device,
    )


def shared(rows: Sequence[Row], device: torch.device) -> Batch:
    """One line for all rows, in which equal beginnings stand once."""
    trie = prefixes.Trie()
    paths = [trie.path([*row.prompt, *row.tokens[:-1]]) for row in rows]
    layout = prefixes.layout(trie, paths, device=device)
    inputs = {"input_ids": layout.tokens, "position_ids": layout.positions, "shared": layout}
    return _batch(rows, inputs, paths, device)


def _batch(
    rows: Sequence[Row],
    inputs: dict[str, Any],
    places: Sequence[Sequence[int]],
    device: torch.device,
) -> Batch:
    """``places``: where each token of each row stands."""
    predictors = [
        place
        for row, where in zip(rows, places, strict=True)
        for place in where[len(row.prompt) - 1 : len(row.prompt) - 1 + len(row.tokens)]
    ]
    ends = [where[len(row.prompt) - 1] for row, where in zip(rows, places, strict=True)]
    answers = [token for row in rows for token in row.tokens]
    return Batch(inputs, *(torch.tensor(x, device=device) for x in (predictors, answers, ends)))


class PolicyNetwork(torch.nn.Module):
    """The language model and, for PPO, a linear value head on the hidden state of the prompt's last
    token; one module, so that a wrapper for several processes has one `forward` to wrap."""

    def __init__(self, model: Any, value_head: bool = False) -> None:
        super().__init__()
        self.model = model
        self.value_head: torch.nn.Linear | None = None
        if value_head:
            self.value_head = torch.nn.Linear(model.config.hidden_size, 1)
            torch.nn.init.zeros_(self.value_head.weight)
            torch.nn.init.zeros_(self.value_head.bias)

    def forward(self, batch: Batch) -> Evaluation:
        """Evaluate rows."""
        trunk = self.model.base_model
        hidden = trunk(**batch.inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        logits = self.model.get_output_embeddings()(hidden[batch.predictors])
        log_probabilities = F.log_softmax(logits.float(), dim=-1)  # (N, V)
        chosen = log_probabilities.gather(1, batch.answers[:, None])[:, 0]
        entropies = -(log_probabilities.exp() * log_probabilities).sum(-1)
        values = None
        if self.value_head is not None:
            values = self.value_head(hidden[batch.ends]).float()[:, 0]
        return Evaluation(chosen, entropies, values)


class Policy:
    """A causal language model that is trained."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        value_head: bool = False,
        precision: Precision = "float32",
    ) -> None:
        self.network = PolicyNetwork(model, value_head)
        self.tokenizer = tokenizer
        self.precision = precision
        self.shares_prefixes = (
            self.device.type == "cpu" and model.config.model_type in prefixes.MODEL_TYPES
        )
        if self.shares_prefixes:
            model.set_attn_implementation(prefixes.NAME)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        value_head: bool = False,
        precision: Precision = "float32",
    ) -> Policy:
        """Read a folder in Hugging Face's layout, weights in float32; raises `SettingError`."""
        folder = Path(folder)
        if not (folder / "config.json").exists() or not (folder / "tokenizer.json").exists():
            raise SettingError(
                f"There is no policy in {folder} (config.json, tokenizer.json). Give a policy's "
                "folder, such as OUT/policy of `lamer-bench train supervised`."
            )
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, attn_implementation="eager"
        )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return cls(model, tokenizer, value_head=value_head, precision=precision)

    @property
    def model(self) -> Any:
        """The language model itself."""
        return self.network.model

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.network.parameters()).device

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """All that is trained."""
        return (p for p in self.network.parameters() if p.requires_grad)

    def value_parameters(self) -> list[torch.nn.Parameter]:
        """Those of the value head; none without."""
        head = self.network.value_head
        return [] if head is None else list(head.parameters())

    @property
    def vocabulary(self) -> str:
        """SHA-256 of the tokenizer: weights of another one mean nothing here."""
        return hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights, the value head's among them."""
        return self.network.state_dict()

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take such weights back."""
        self.network.load_state_dict(state)

    def writer(self) -> Writer:
        """Who answers views in a rollout, with the weights as they are now."""
        is_half = self.precision == "bfloat16"
        generator = PrefixGenerator(self.model, torch.bfloat16 if is_half else torch.float32)
        return TokenWriter(generator, self.tokenizer)

    def batches(self, rows: Sequence[Row], indices: Sequence[int]) -> Iterator[list[int]]:
        """Cut ``indices`` of rows into what is evaluated at once: alike beginnings together, or
        else alike lengths."""
        if self.shares_prefixes:
            order = sorted(indices, key=lambda index: rows[index].prompt)
            yield from prefixes.batches(
                [[*rows[index].prompt, *rows[index].tokens] for index in order],
                order,
                TOKENS_AT_ONCE,
            )
            return
        batch: list[int] = []
        for index in sorted(indices, key=lambda i: len(rows[i].prompt) + len(rows[i].tokens)):
            longest = len(rows[index].prompt) + len(rows[index].tokens)
            if batch and longest * (len(batch) + 1) > TOKENS_AT_ONCE:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def evaluate(self, rows: Sequence[Row]) -> Evaluation:
        """Log-probabilities, entropies and values of rows, with gradients."""
        if self.shares_prefixes:
            batch = shared(rows, self.device)
        else:
            batch = padded(rows, self.pad, self.device)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            evaluation: Evaluation = self.network(batch)
        return evaluation

    @property
    def pad(self) -> int:
        """The token that fills short rows; any would do."""
        return self.tokenizer.token_to_id("<pad>") or 0

    def save(self, folder: str | Path, training: dict[str, object]) -> None:
        """Write a folder that `Policy.load`, `transformers` and the agents load."""
        save_policy(self.model, self.tokenizer, folder, training)


class TokenWriter:
    """Writes with whatever samples tokens, under the small models' prompts."""

    def __init__(self, generator: Generator, tokenizer: Tokenizer) -> None:
        self.generator = generator
        self.tokenizer = tokenizer

    def write(
        self, views: Sequence[View], kind: Literal["act", "reflect"], temperature: float
    ) -> list[Written]:
        """Answer views, each from its own stream."""
        return write(self.generator, self.tokenizer, views, kind, temperature)
