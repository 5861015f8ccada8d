"""A tiny chat model from scratch: a random Llama and a byte-level tokenizer with a chat template.

Its answers are noise, as those of a random model must be; what is tested is everything around them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = """\
{%- for message in messages -%}
<|start|>{{ message['role'] }}
{{ message['content'] }}<|end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think></think>
{% endif %}{% endif -%}"""
WITHOUT_SYSTEM = """\
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif -%}
{%- for message in messages %}[{{ message['content'] }}]{% endfor -%}"""
CORPUS = [
    "You play a game in text. Its rules: <action>safe</action> <action>plan</action>",
    "<action>(1,2)</action> <remark>the target is (1,3)</remark> The attempt is over.",
    "Name one or safe or plan. Attempt 1 at this task, which was not solved.",
]


def tiny_tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of some 300 tokens; any text survives it."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=320,
        special_tokens=["<|pad|>", "<|end|>", "<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>"
    )
    fast.chat_template = template
    return fast


def tiny_model(vocabulary_size: int, seed: int = 0, context_tokens: int = 4096) -> LlamaForCausalLM:
    """Two layers of width 32; the global torch stream is left as it was."""
    config = LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context_tokens,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def tiny_chat(folder: Path, template: str | None = TEMPLATE, context_tokens: int = 4096) -> Path:
    """Write model and tokenizer; returns the folder."""
    tokenizer = tiny_tokenizer(template)
    tiny_model(len(tokenizer), context_tokens=context_tokens).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
