"""Policy: a causal language model as the loop sees it: it writes answers, it evaluates rows, it is
saved.

There are two ways to put rows of different length into one batch. Small models on a CPU read shared
beginnings once (prefixes.py). Otherwise rows are padded on the right, which a causal network never
sees from the left, so that no attention mask is needed. Either way only the positions that predict
an answer's tokens go through the vocabulary's matrix.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from baselines.language_agent import Generator, Written, write
from baselines.training import distributed, lora, prefixes
from baselines.training.generator import PaddedGenerator, PrefixGenerator
from baselines.training.model import attention_on, load_policy, save_policy
from baselines.training.rollouts import Row, Writer
from lamer_bench.agent import View

Precision = Literal["auto", "float32", "bfloat16"]
"""``auto``: bfloat16 for a chat model on a GPU that has it, else float32."""
TOKENS_AT_ONCE = 4096
"""In one forward and backward pass on a CPU: few enough for the activations to stay in the
cache."""
LOGITS_AT_ONCE = 2**26
"""More are computed in parts, and again for the gradient: 256 MB in float32."""


class Evaluation(NamedTuple):
    """What a policy says of rows: N answer tokens, one row's after the other's, of R rows."""

    log_probabilities: torch.Tensor  # (N,) of the tokens that were sampled, in nats
    entropies: torch.Tensor  # (N,) of the distributions they were sampled from, in nats
    values: torch.Tensor | None  # (R,) None without a value head

    def total(self) -> torch.Tensor:
        """The sum of everything, which depends on all that is trained."""
        parts = (self.log_probabilities, self.entropies, self.values)
        return torch.stack([part.sum() for part in parts if part is not None]).sum()


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

    def __init__(self, model: Any, value_head: bool = False, temperature: float = 1.0) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.value_head: torch.nn.Linear | None = None
        if value_head:
            self.value_head = torch.nn.Linear(model.config.get_text_config().hidden_size, 1)
            torch.nn.init.zeros_(self.value_head.weight)
            torch.nn.init.zeros_(self.value_head.bias)

    def forward(self, batch: Batch) -> Evaluation:
        """Evaluate rows."""
        trunk = self.model.base_model
        hidden = trunk(**batch.inputs, use_cache=False).last_hidden_state.flatten(0, 1)
        chosen, entropies = self._tokens(hidden[batch.predictors], batch.answers)
        values = None
        if self.value_head is not None:
            values = self.value_head(hidden[batch.ends]).float().sum(-1)  # (R, 1) -> (R,)
        return Evaluation(chosen, entropies, values)

    def _tokens(
        self, hidden: torch.Tensor, answers: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities of the answers and entropies: (N, D), (N,) -> (N,), (N,)."""
        most = max(1, LOGITS_AT_ONCE // self.model.get_output_embeddings().weight.shape[0])
        if len(answers) <= most:
            return self._some_tokens(hidden, answers)
        parts = [
            checkpoint(self._some_tokens, *part, use_reentrant=False)
            for part in zip(hidden.split(most), answers.split(most), strict=True)
        ]
        chosen, entropies = zip(*parts, strict=True)
        return torch.cat(chosen), torch.cat(entropies)

    def _some_tokens(
        self, hidden: torch.Tensor, answers: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = output_logits(self.model, hidden)
        log_probabilities = F.log_softmax(logits.float() / self.temperature, dim=-1)  # (N, V)
        chosen = -F.nll_loss(log_probabilities, answers, reduction="none")
        return chosen, -(log_probabilities.exp() * log_probabilities).sum(-1)


def output_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits (N, V) from the trunk's hidden states (N, D), as the architecture scales them."""
    logits: torch.Tensor = model.get_output_embeddings()(hidden)
    config = model.config.get_text_config()
    if scale := getattr(config, "logit_scale", None):  # Cohere
        logits = logits * scale
    if divisor := getattr(config, "logits_scaling", None):  # Granite
        logits = logits / divisor
    if most := getattr(config, "final_logit_softcapping", None):  # Gemma
        logits = most * torch.tanh(logits / most)
    return logits


class Policy:
    """A causal language model that is trained."""

    samples_merged: ClassVar[bool] = True
    """Whether rollouts on a GPU use a copy with the adapters added in, which has fewer kernels to
    start."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        value_head: bool = False,
        precision: Precision = "float32",
        lora_rank: int = 0,
        keeps_reference: bool = False,
        gradient_checkpointing: bool = False,
        micro_batch_tokens: int = TOKENS_AT_ONCE,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        """``lora_rank`` above 0 trains adapters drawn from ``seed`` in place of all weights;
        ``keeps_reference`` keeps what `reference` needs; ``temperature`` is that of the rollouts,
        at which probabilities are evaluated, too."""
        self.tokenizer = tokenizer
        self.start = ""
        """Names the weights that training leaves as they were, those beneath adapters or of a
        reference; empty where there are none."""
        self.precision = precision
        self.micro_batch_tokens = micro_batch_tokens
        self.recomputes = gradient_checkpointing
        if gradient_checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", None)  # the newer name
            (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
        self.shares_prefixes = self.may_share_prefixes(model)
        if self.shares_prefixes:
            model.set_attn_implementation(prefixes.NAME)
        self._reference: PolicyNetwork | None = None
        self._merged: Any = None
        if lora_rank:
            if self.samples_merged and not self.shares_prefixes:
                self._merged = copy.deepcopy(model).requires_grad_(False)
            lora.add_adapters(model, lora_rank, seed)
        elif keeps_reference:
            self._reference = PolicyNetwork(
                copy.deepcopy(model).requires_grad_(False), temperature=temperature
            )
        self.network = PolicyNetwork(model, value_head, temperature).to(model.device)

    @staticmethod
    def may_share_prefixes(model: Any) -> bool:
        """Whether the model's attention can be exchanged for that of prefixes.py, and gains."""
        return model.device.type == "cpu" and model.config.model_type in prefixes.MODEL_TYPES

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: torch.device | None = None,
        **options: Any,
    ) -> Policy:
        """Read a folder in Hugging Face's layout, weights in float32; ``options`` are those of the
        class. Raises `SettingError`."""
        model, tokenizer = load_policy(folder)
        device = device or torch.device("cpu")
        model.set_attn_implementation(attention_on(device))
        return cls(model.to(device), tokenizer, **options)  # type: ignore[arg-type]

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

    def body_parameters(self) -> list[torch.nn.Parameter]:
        """What is trained, but for the value head."""
        head = {id(parameter) for parameter in self.value_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in head]

    def value_parameters(self) -> list[torch.nn.Parameter]:
        """Those of the value head; none without."""
        head = self.network.value_head
        return [] if head is None else list(head.parameters())

    @property
    def vocabulary(self) -> str:
        """SHA-256 of the tokenizer: weights of another one mean nothing here."""
        return hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that is trained, put together in the main process where processes share it."""
        if not lora.has_adapters(self.model):
            state: dict[str, torch.Tensor] = distributed.whole_on_main(self.network.state_dict())
            return state
        named = self.network.named_parameters()
        return {name: distributed.whole_on_main(p) for name, p in named if p.requires_grad}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take such weights back; raises `RuntimeError` where they are another network's."""
        mine = self.network.state_dict()
        missing = {n for n, p in self.network.named_parameters() if p.requires_grad} - state.keys()
        if missing or state.keys() - mine.keys():
            raise RuntimeError(f"other weights: {sorted(missing or state.keys() - mine.keys())}")
        parts = {name: distributed.like(value, mine[name]) for name, value in state.items()}
        self.network.load_state_dict(parts, strict=False)

    def writer(self) -> Writer:
        """Who answers views in a rollout, with the weights as they are now."""
        precision = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        if self.shares_prefixes:
            return TokenWriter(PrefixGenerator(self.model, precision), self.tokenizer)
        sampled = self.model
        if self._merged is not None:
            self._merged.load_state_dict(lora.merged_state(self.model), strict=False)
            sampled = self._merged
        return TokenWriter(PaddedGenerator(sampled, self.pad, precision), self.tokenizer)

    def batches(self, rows: Sequence[Row], indices: Sequence[int]) -> Iterator[list[int]]:
        """Cut ``indices`` of rows into what is evaluated at once: alike beginnings together, or
        else alike lengths."""
        if self.shares_prefixes:
            order = sorted(indices, key=lambda index: rows[index].prompt)
            yield from prefixes.batches(
                [[*rows[index].prompt, *rows[index].tokens] for index in order],
                order,
                self.micro_batch_tokens,
            )
            return
        batch: list[int] = []
        for index in sorted(indices, key=lambda i: len(rows[i].prompt) + len(rows[i].tokens)):
            longest = len(rows[index].prompt) + len(rows[index].tokens)
            if batch and longest * (len(batch) + 1) > self.micro_batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def evaluate(self, rows: Sequence[Row]) -> Evaluation:
        """Log-probabilities, entropies and values of rows, with gradients."""
        with self._recomputing():
            return self._evaluate(self.network, rows)

    @torch.no_grad()
    def reference(self, rows: Sequence[Row]) -> torch.Tensor:
        """Log-probabilities (N,) of rows under the policy that training began with."""
        if self._reference is not None:
            return self._evaluate(self._reference, rows).log_probabilities
        with lora.without_adapters(self.model):
            return self._evaluate(self.network, rows).log_probabilities

    def _evaluate(self, network: PolicyNetwork, rows: Sequence[Row]) -> Evaluation:
        if self.shares_prefixes:
            batch = shared(rows, self.device)
        else:
            batch = padded(rows, self.pad, self.device)
        with self.autocast():
            evaluation: Evaluation = network(batch)
        return evaluation

    def autocast(self) -> torch.autocast:
        """The context in which matrix products have this policy's precision."""
        is_half = self.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half)

    @contextmanager
    def _recomputing(self) -> Iterator[None]:
        """Inside, layers keep their inputs only; that is a matter of training mode, which would
        switch on dropout, too, if it were set for more than the layers themselves."""
        modules = self.model.modules() if self.recomputes else []
        layers = [one for one in modules if isinstance(one, GradientCheckpointingLayer)]
        for layer in layers:
            layer.training = True
        try:
            yield
        finally:
            for layer in layers:
                layer.training = False

    @property
    def pad(self) -> int:
        """The token that fills short rows; any would do."""
        return self.tokenizer.token_to_id("<pad>") or 0

    def save(self, folder: str | Path, training: dict[str, object], is_main: bool = True) -> None:
        """Write a folder that `Policy.load`, `transformers` and the agents load, adapters merged
        in; the adapters alone are put into its subfolder ``adapter``. Where processes share the
        weights all must call, and the main one writes."""
        state = lora.merged_state(self.model, distributed.whole)
        if is_main:
            save_policy(self.model, self.tokenizer, folder, training, state)
        self._save_adapter(Path(folder), is_main)

    def _save_adapter(self, folder: Path, is_main: bool) -> None:
        if not lora.has_adapters(self.model):
            return
        adapter, base = folder / "adapter", self.model.config.name_or_path
        lora.save_adapter(self.model, adapter, base, distributed.whole, is_main)
        if is_main:
            shutil.copy(folder / "training.json", adapter)


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
