"""ChatPolicy: any Hugging Face causal language model as a policy, under `prompts.chat`.

It differs from a small policy in what it reads, in how it samples (`LocalModel`), and in what its
weights are kept in: float32 where they are trained, so that small steps are not rounded away, and
the precision of the matrix products where only adapters are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import save_torch_state_dict
from tokenizers import Tokenizer
from transformers import AutoConfig

from baselines.adapters import ADAPTER_FILE
from baselines.language_agent import Written
from baselines.local_agent import ChatModel, ChatSettings, write_chat
from baselines.local_model import (
    LocalModel,
    base_of_adapter,
    choose_dtype,
    could_be_on_hub,
    is_small,
    load_pretrained,
    weights_digest,
)
from baselines.training import distributed, lora
from baselines.training.model import asdict_or_text, attention_on
from baselines.training.policy import Policy, output_logits
from baselines.training.rollouts import Writer
from lamer_bench.agent import View
from lamer_bench.errors import SettingError


class ChatPolicy(Policy):
    """A chat model that is trained; its tokenizer is one of `transformers`."""

    tokenizer: Any
    samples_merged = False  # a copy would not fit beside it

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        chat: ChatSettings | None = None,
        tokens_at_once: int = 32_768,
        saved_dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> None:
        """``saved_dtype``: what the weights are written in, that of the start; ``options`` are
        those of `Policy`."""
        check_logits(model)
        super().__init__(model, tokenizer, **options)
        self.chat = chat or ChatSettings()
        self.tokens_at_once = tokens_at_once
        self.saved_dtype = saved_dtype

    @staticmethod
    def may_share_prefixes(model: Any) -> bool:
        return False

    @classmethod
    def load(
        cls, folder: str | Path, *, device: torch.device | None = None, **options: Any
    ) -> ChatPolicy:
        """Read a folder, an adapter (which is merged in), or a model of the hub; raises
        `SettingError`."""
        is_half = bool(options.get("lora_rank")) and options.get("precision") == "bfloat16"
        dtype = torch.bfloat16 if is_half else torch.float32
        model, tokenizer = load_pretrained(folder, device or torch.device("cpu"), dtype)
        return cls(model, tokenizer, saved_dtype=_stored_dtype(folder), **options)

    @property
    def vocabulary(self) -> str:
        words = json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()

    @property
    def pad(self) -> int:
        return self.tokenizer.pad_token_id or 0

    def writer(self) -> Writer:
        return ChatWriter(self)

    def save(self, folder: str | Path, training: dict[str, object], is_main: bool = True) -> None:
        folder = Path(folder)
        state = lora.merged_state(self.model, distributed.whole)
        if is_main:
            folder.mkdir(parents=True, exist_ok=True)
            state = {
                name: value.to(self.saved_dtype) if value.is_floating_point() else value
                for name, value in state.items()
            }
            save_torch_state_dict(state, folder)
            self.model.config.dtype = self.saved_dtype
            self.model.config.save_pretrained(folder)
            self.model.generation_config.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
            text = json.dumps(training, indent=2, default=asdict_or_text)
            (folder / "training.json").write_text(text + "\n", encoding="utf-8")
        self._save_adapter(folder, is_main)


class ChatWriter:
    """Writes with a chat policy, with its weights as they are."""

    def __init__(self, policy: ChatPolicy, model: ChatModel | None = None) -> None:
        """``model``: who samples with the policy's weights; the policy itself unless said."""
        self.policy = policy
        self.model: ChatModel = model or LocalModel(
            policy.model, policy.tokenizer, tokens_at_once=policy.tokens_at_once
        )

    def write(
        self, views: Sequence[View], kind: Literal["act", "reflect"], temperature: float
    ) -> list[Written]:
        """Answer views, each from its own stream; raises `AgentError` for a prompt that is too
        long.

        Below float32 sampling and learning round differently; the log-probabilities are then left
        out, so that the loop computes them as the learner will.
        """
        with self.policy.autocast():
            texts = write_chat(self.model, views, kind, temperature, self.policy.chat)
        written = []
        for text in texts:
            if not isinstance(text, Written):
                raise text
            if self.policy.precision != "float32":
                text.generation.log_probabilities.clear()
            written.append(text)
        return written


@torch.no_grad()
def check_logits(model: Any) -> None:
    """Raise `SettingError` unless `output_logits` is how this architecture computes its logits."""
    tokens = torch.arange(4, device=model.device)[None]
    said = model(input_ids=tokens, use_cache=False).logits[0].float()
    hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state[0]
    ours = output_logits(model, hidden).float()
    scale = said.abs().max().item() + 1e-6
    if said.shape != ours.shape or (said - ours).abs().max().item() > 0.02 * scale:
        kind = type(model).__name__
        raise SettingError(
            f"{kind} computes its logits in a way that training does not know. Give a model of "
            "another architecture, such as Qwen3 or Llama."
        )


def _tokenizer_file(folder: Path) -> Path:
    """The file of a model's tokenizer, or of its base's where it is an adapter without its own."""
    file = folder / "tokenizer.json"
    if file.exists() or not (folder / ADAPTER_FILE).exists():
        return file
    return _tokenizer_file(Path(base_of_adapter(folder)).expanduser())


def _is_small_file(file: Path) -> bool:
    try:
        return is_small(Tokenizer.from_file(str(file)))
    except Exception:  # what it raises where there is none, or a damaged one
        return False


def _stored_dtype(name: str | Path) -> torch.dtype:
    """What a model's weights are stored in, or its base's where it is an adapter."""
    folder = Path(name).expanduser()
    if (folder / ADAPTER_FILE).exists():
        return _stored_dtype(base_of_adapter(folder))
    config = AutoConfig.from_pretrained(str(folder if folder.is_dir() else name))
    stored = config.get_text_config().dtype
    return stored if isinstance(stored, torch.dtype) else torch.float32


def start_policy(settings: Any, device: torch.device) -> Policy:
    """The policy that a training begins with: a small one where its tokenizer says so, else a chat
    policy; raises `SettingError`."""
    policy = _loaded(settings, device)
    if settings.lora_rank or settings.reference_kl:
        policy.start = weights_digest(settings.start)
    return policy


def _loaded(settings: Any, device: torch.device) -> Policy:
    options: dict[str, Any] = {
        "value_head": settings.has_values,
        "precision": "float32" if settings.precision == "auto" else settings.precision,
        "lora_rank": settings.lora_rank,
        "keeps_reference": settings.reference_kl > 0,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "micro_batch_tokens": settings.micro_batch_tokens,
        "temperature": settings.temperature,
        "seed": settings.seed,
    }
    folder = Path(settings.start).expanduser()
    if _is_small_file(_tokenizer_file(folder)):
        if not (folder / ADAPTER_FILE).exists():
            return Policy.load(folder, device=device, **options)
        model, tokenizer = load_pretrained(folder, device, torch.float32, attention_on(device))
        return Policy(model, tokenizer.backend_tokenizer, **options)
    if not (folder.is_dir() or could_be_on_hub(settings.start)):
        return Policy.load(folder, **options)  # which says what is missing
    if settings.precision == "auto":
        dtype = choose_dtype("auto", device)
        options["precision"] = "bfloat16" if dtype == torch.bfloat16 else "float32"
    chat = ChatSettings(settings.max_tokens, settings.thinking)
    return ChatPolicy.load(
        settings.start, device=device, chat=chat, tokens_at_once=settings.rollout_tokens, **options
    )
