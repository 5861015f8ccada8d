"""Reading shared beginnings once gives what reading each text alone gives: values, gradients,
samples."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="torch is in the [train] extra")

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from baselines.models import SmallModel
from baselines.training import generator, prefixes
from baselines.training.generator import PaddedGenerator, PrefixGenerator
from baselines.training.model import build_tokenizer, save_policy
from baselines.training.policy import Evaluation, Policy
from baselines.training.rollouts import Row

VOCABULARY = 12
STOP = 1


def tiny_model(num_groups: int = 4, vocabulary: int = VOCABULARY) -> LlamaForCausalLM:
    """Random weights, large enough that every token before matters."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=num_groups,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def policy(num_groups: int = 4, *, shares: bool) -> Policy:
    """The same weights every time, with a value head that is not 0."""
    made = Policy(tiny_model(num_groups), build_tokenizer(), value_head=True)
    assert made.network.value_head is not None
    with torch.no_grad():
        made.network.value_head.weight.copy_(torch.linspace(-1, 1, 32)[None])
    if not shares:
        made.shares_prefixes = False
        made.model.set_attn_implementation("eager")
    return made


def row(prompt: list[int], tokens: list[int]) -> Row:
    return Row(0, 0, 0, "act", "", prompt, tokens, [])


tokens = st.integers(2, 4)  # few, so that beginnings are shared by chance
texts = st.lists(
    st.tuples(st.lists(tokens, min_size=1, max_size=9), st.lists(tokens, min_size=1, max_size=3)),
    min_size=1,
    max_size=40,
)


def test_a_path_shares_the_nodes_of_an_equal_beginning() -> None:
    trie = prefixes.Trie()
    assert trie.path([5, 6, 7]) == [0, 1, 2]
    assert trie.path([5, 6, 8, 7]) == [0, 1, 3, 4]
    assert trie.path([5]) == [0]
    assert trie.tokens == [5, 6, 7, 8, 7]
    assert trie.positions == [0, 1, 2, 2, 3]


@given(texts)
def test_every_node_is_asked_once_as_the_end_of_its_own_path(drawn) -> None:  # type: ignore[no-untyped-def]
    trie = prefixes.Trie()
    paths = [trie.path(prompt + answer) for prompt, answer in drawn]
    laid = prefixes.layout(trie, paths)
    asked = torch.cat(
        [block.paths[:, -block.num_queries :].flatten() for block in laid.blocks]
    ).numpy()
    assert asked[laid.owners.numpy()].tolist() == list(range(len(trie)))


@settings(deadline=None, max_examples=30)
@given(drawn=texts, num_groups=st.sampled_from([1, 2, 4]))
def test_values_and_gradients_are_those_of_each_text_alone(drawn, num_groups: int) -> None:  # type: ignore[no-untyped-def]
    rows = [row(prompt, answer) for prompt, answer in drawn]
    results = []
    for shares in (True, False):
        one = policy(num_groups, shares=shares)
        evaluation = one.evaluate(rows)
        assert evaluation.values is not None
        weights = torch.linspace(-1, 1, len(evaluation.log_probabilities))
        (evaluation.log_probabilities @ weights + evaluation.values.sum()).backward()
        results.append((evaluation, [parameter.grad for parameter in one.parameters()]))
    (together, gradients), (alone, expected) = results
    assert_alike(together, alone)
    for found, wanted in zip(gradients, expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-4)


def assert_alike(one: Evaluation, other: Evaluation) -> None:
    for found, expected in zip(one, other, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


@given(texts, st.integers(3, 60))
def test_batches_hold_every_row_once_and_not_too_many_nodes(drawn, most_tokens: int) -> None:  # type: ignore[no-untyped-def]
    ordered = sorted(prompt + answer for prompt, answer in drawn)
    batches = list(prefixes.batches(ordered, range(len(ordered)), most_tokens))
    assert [index for batch in batches for index in batch] == list(range(len(ordered)))
    for batch in batches:
        trie = prefixes.Trie()
        for index in batch:
            trie.path(ordered[index])
        assert len(trie) <= most_tokens or len(batch) == 1


# Sampling ----------------------------------------------------------------------------------------


def generated(one: PrefixGenerator | SmallModel, prompts: list[list[int]]) -> list:  # type: ignore[type-arg]
    streams = [Random(index) for index in range(len(prompts))]
    return one.generate(prompts, streams, stop=STOP, max_tokens=6)


def some_prompts(rng: Random, number: int = 24) -> list[list[int]]:
    """Prompts with much in common, some of them beginnings of others, some twice."""
    long = [[rng.randrange(2, 5) for _ in range(rng.randrange(1, 12))] for _ in range(number)]
    return long + [prompt[: max(1, len(prompt) - 2)] for prompt in long] + long[:5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny policy on disk."""
    tokenizer = build_tokenizer()
    path = tmp_path_factory.mktemp("policy")
    save_policy(tiny_model(vocabulary=tokenizer.get_vocab_size()), tokenizer, path, {})
    return path


def test_it_samples_what_the_evaluations_model_samples(folder: Path) -> None:
    rng = Random(1)
    together = PrefixGenerator(Policy.load(folder).model)
    exact = SmallModel.from_folder(folder)
    for _ in range(3):  # later batches meet what earlier ones have left
        prompts = some_prompts(rng)
        for found, expected in zip(
            generated(together, prompts), generated(exact, prompts), strict=True
        ):
            assert found.tokens == expected.tokens
            assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)


def test_log_probabilities_of_a_rollout_are_those_of_the_update(folder: Path) -> None:
    one = Policy.load(folder)
    prompts = some_prompts(Random(2))
    samples = generated(PrefixGenerator(one.model), prompts)
    rows = [row(prompt, sample.tokens) for prompt, sample in zip(prompts, samples, strict=True)]
    evaluated = one.evaluate(rows).log_probabilities.detach().numpy()
    sampled = [value for sample in samples for value in sample.log_probabilities]
    assert np.abs(np.exp(evaluated - sampled) - 1.0).max() < 1e-4


def test_forgetting_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = some_prompts(Random(3))
    remembering = PrefixGenerator(Policy.load(folder).model)
    forgetful = PrefixGenerator(Policy.load(folder).model)
    expected = [generated(remembering, prompts) for _ in range(2)]
    monkeypatch.setattr(generator, "MOST_NODES", 0)
    found = [generated(forgetful, prompts) for _ in range(2)]
    assert [[one.tokens for one in batch] for batch in found] == [
        [one.tokens for one in batch] for batch in expected
    ]


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where prompts are padded."""
    monkeypatch.setattr(Policy, "may_share_prefixes", staticmethod(lambda _: False))


@pytest.mark.usefixtures("unshared")
def test_a_gpus_generator_samples_the_same(folder: Path) -> None:
    padded = PaddedGenerator(Policy.load(folder).model, pad=0)
    exact = SmallModel.from_folder(folder)
    prompts = some_prompts(Random(4))
    for found, expected in zip(generated(padded, prompts), generated(exact, prompts), strict=True):
        assert found.tokens == expected.tokens
        assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-4)


@pytest.mark.usefixtures("unshared")
def test_a_gpus_rollouts_are_of_the_adapted_network(folder: Path) -> None:
    one = Policy.load(folder, lora_rank=2)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    writer = one.writer()
    prompts = some_prompts(Random(5))
    assert isinstance(writer.generator, PaddedGenerator)
    samples = generated(writer.generator, prompts)
    rows = [row(prompt, sample.tokens) for prompt, sample in zip(prompts, samples, strict=True)]
    evaluated = one.evaluate(rows).log_probabilities.detach().numpy()
    sampled = [value for sample in samples for value in sample.log_probabilities]
    assert np.abs(np.exp(evaluated - sampled) - 1.0).max() < 1e-3
    start = generated(PaddedGenerator(Policy.load(folder).model, 0), prompts)
    assert [one.tokens for one in start] != [one.tokens for one in samples]
