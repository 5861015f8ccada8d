"""The NumPy language model against torch's, and its independence of the batch."""

import random
from pathlib import Path

import numpy as np
import pytest

from baselines.adapters import chain
from baselines.models import SmallModel, decode, load_tokenizer, sample

WEIGHTS = sorted(Path(__file__).parents[2].glob("baselines/weights/*/*"))
names = [f"{folder.parent.name}/{folder.name}" for folder in WEIGHTS]
TEXTS = {
    "minesweeper": (
        "Mines 9 of 31\nmine (2,4)\n1/2 (3,3)(3,4)\n<action>(2,3)</action>",
        "Mines 9 of 31\nmine (2,4)\n1/2 (3,3) (3,4)\n<action> (2,3) </action>",
    ),
    "sokoban": (
        "# P X O\nfailed (2,3) up\n3 moves\npush (2,3) up<action>up</action>",
        "# P X O\nfailed (2,3) up\n3 moves\npush (2,3) up <action> up </action>",
    ),
    "webshop": (
        "p1 w1 w2 ; p2 w3\nA reviews - plus #3\nleft 12\n<action> A </action>",
        "p1 w1 w2 ; p2 w3\nA reviews - plus #3\nleft 12\n<action> A </action>",
    ),
}
"""Family -> a text in the words of its vocabulary, and how that is read."""


def test_weights_ship() -> None:
    assert {"minesweeper/lamer", "sokoban/lamer", "webshop/lamer"} <= set(names)


@pytest.mark.parametrize("folder", WEIGHTS, ids=names)
def test_logits_equal_those_of_transformers(folder: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the [train] extra")
    local_model = pytest.importorskip("baselines.local_model", reason="it needs [train]")
    cpu = torch.device("cpu")
    reference = local_model.load_pretrained(folder, cpu, torch.float32).model  # adapters, too
    ours = SmallModel.from_folder(folder)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, reference.config.vocab_size, (5, 97))
    with torch.no_grad():
        expected = reference(torch.from_numpy(tokens)).logits[:, -1].numpy()
    assert np.abs(ours.logits(tokens) - expected).max() < 1e-4
    cache: list = []
    ours.logits(tokens[:, :60], cache)
    assert np.abs(ours.logits(tokens[:, 60:], cache) - expected).max() < 1e-4
    single = SmallModel.from_folder(folder, np.float32).logits(tokens)
    assert single.dtype == np.float32
    assert np.abs(single - expected).max() < 1e-3


@pytest.mark.parametrize("folder", WEIGHTS, ids=names)
def test_transformers_loads_the_tokenizer(folder: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="it is in the [train] extra")
    text, read = TEXTS[folder.parent.name]
    theirs = transformers.AutoTokenizer.from_pretrained(chain(folder)[0])(text)["input_ids"]
    tokenizer = load_tokenizer(folder)
    ours = tokenizer.encode(text).ids
    assert theirs == ours
    assert decode(tokenizer, ours) == read


@pytest.mark.parametrize("folder", WEIGHTS, ids=names)
def test_a_row_does_not_depend_on_its_batch(folder: Path) -> None:
    model = SmallModel.from_folder(folder)
    tokenizer = load_tokenizer(folder)
    boards = [f"Mines: {n}\n" + "\n".join(["? 1 . 2 ? ?"] * 6) for n in (3, 4, 6, 9, 10)]
    prompts = [tokenizer.encode(board + "\n<remark>").ids for board in boards] * 9
    stop = tokenizer.token_to_id("</remark>")

    def write(rows: list[int]) -> list[list[int]]:
        streams = [random.Random(row) for row in rows]
        chosen = [prompts[row] for row in rows]
        made = model.generate(chosen, streams, stop=stop, max_tokens=60)
        return [generation.tokens for generation in made]

    together = write(list(range(len(prompts))))
    alone = [write([row])[0] for row in range(len(prompts))]
    backwards = write(list(reversed(range(len(prompts)))))[::-1]
    assert together == alone == backwards


def test_sampling_follows_the_distribution_function() -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.3]] * 4))
    chosen, log_probabilities = sample(logits, np.array([0.1, 0.3, 0.69, 0.71]), 1.0)
    assert chosen.tolist() == [0, 1, 1, 2]
    assert np.allclose(np.exp(log_probabilities), [0.2, 0.5, 0.5, 0.3])


def test_temperature_zero_is_greedy() -> None:
    logits = np.array([[0.0, 2.0, 1.0]])
    assert sample(logits, np.array([0.999]), 0.0)[0].tolist() == [1]
