"""The published files: both formats, what is missing or damaged in them, and the frozen goals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from environments.webshop import WebShop
from environments.webshop.published import MISSING_PRICE, PublishedStock, clean
from environments.webshop.published_goals import published_goals
from lamer_bench import Task
from lamer_bench.env import CHARSET
from lamer_bench.errors import LamerBenchError, SettingError, TaskError
from lamer_bench.runner import run
from lamer_bench.verify import verify
from tests.webshop_data import DATA, needs_data

MUG = {
    "asin": "B000000001",
    "name": "Crème Mug › large",
    "query": "Coffee Mug",
    "product_category": "Home › Kitchen › Mugs",
    "pricing": "$9.50$12.00",
    "small_description": ["Keeps warm", "★ Dishwasher safe"],
    "full_description": "A mug.\n<b>Stackable</b>",
    "average_rating": "4.5",
    "customization_options": {"Color": [{"value": "Red/White"}, {"value": "blue"}], "Size": None},
}
ABOUT = {
    "B000000001": {
        "attributes": ["dishwasher safe"],
        "instruction": "Find me a dishwasher safe mug",
        "instruction_attributes": ["dishwasher safe"],
    }
}


def folder(tmp_path: Path, products: Any = (MUG,), about: Any = ABOUT) -> Path:
    """A folder with published files; texts are written as they are."""
    for name, content in (("items_shuffle.json", products), ("items_ins_v2.json", about)):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_released_product_is_read(tmp_path: Path) -> None:
    product = PublishedStock(folder(tmp_path))[0]
    assert product.title == "Creme Mug > large"
    assert product.path == ("Home", "Kitchen", "Mugs")
    assert product.query == "coffee mug"
    assert 9.5 <= product.price <= 12.0
    assert product.price_tag == "$9.50 to $12.00"
    assert product.features == ("Keeps warm", "* Dishwasher safe")
    assert product.description == "A mug. <b>Stackable</b>"
    assert [(o.name, o.values) for o in product.options] == [("color", ("red | white", "blue"))]
    assert product.attributes == ("dishwasher safe",)


def test_goals_are_all_combinations_of_options(tmp_path: Path) -> None:
    goals = published_goals(folder(tmp_path), "synthetic").goals
    assert sorted(goal.wanted.options for goal in goals) == [("blue",), ("red | white",)]
    for goal in goals:
        (value,) = goal.wanted.options
        beginning = f"Find me a dishwasher safe mug with color: {value}, and price lower than "
        assert goal.instruction.startswith(beginning)
        assert goal.wanted.price_limit is not None
        assert goal.wanted.price_limit > 9.5


@pytest.mark.parametrize("pricing", ["$9.50$12.00", "$9.50 to $12", ["$9.50", "12"], [12, 9.5]])
def test_prices_are_read_in_every_spelling(tmp_path: Path, pricing: Any) -> None:
    product = PublishedStock(folder(tmp_path, [{**MUG, "pricing": pricing}]))[0]
    assert product.price_tag == "$9.50 to $12.00"
    assert 9.5 <= product.price <= 12


@pytest.mark.parametrize("pricing", [None, "", "call us", ["nan"], [None, "x"], ["-3"], ["inf"]])
def test_an_item_without_a_usable_price_costs_what_the_original_says(
    tmp_path: Path, pricing: Any
) -> None:
    product = PublishedStock(folder(tmp_path, [{**MUG, "pricing": pricing}]))[0]
    assert product.price == MISSING_PRICE
    env = WebShop("paper", data=tmp_path)
    env.reset(seed=0)
    for answer in env.solution():
        env.step(answer)
    assert env.won


@pytest.mark.parametrize(
    "odd",
    [
        {"asin": None},
        {"asin": "nan"},
        {"asin": "<script>"},
        {"asin": "B0/../../x"},
        {"name": None},
        {"name": " \n"},
    ],
)
def test_an_item_without_id_or_name_is_left_out(tmp_path: Path, odd: dict[str, Any]) -> None:
    stock = PublishedStock(folder(tmp_path, [{**MUG, **odd}, MUG, MUG, "text", None, 3]))
    assert [product.id for product in map(stock.__getitem__, range(len(stock)))] == ["B000000001"]


def test_fields_of_any_kind_do_not_break_it(tmp_path: Path) -> None:
    for odd in (None, 3, 2.5, True, "text", [], [[]], {}, {"a": {}}, [{"value": {}}], "\x00\ud800"):
        fields = {name: odd for name in MUG if name not in ("asin", "name")}
        stock = PublishedStock(folder(tmp_path, [{**MUG, **fields, "Reviews": odd}]))
        assert len(stock) == 1


@pytest.mark.parametrize(
    ("products", "about", "message"),
    [
        ("[{", ABOUT, "items_shuffle.json is damaged"),
        ("{}", ABOUT, "items_shuffle.json is damaged: it holds no list of products"),
        ("[]", ABOUT, "holds no product with an asin and a name"),
        ([MUG], "[1]", "items_ins_v2.json is damaged: it holds no mapping"),
        ([MUG], "{", "items_ins_v2.json is damaged"),
        ("[" * 100_000, ABOUT, "is damaged"),
        ([MUG], {}, "holds no synthetic goal"),
    ],
)
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, products: Any, about: Any, message: str
) -> None:
    env = WebShop("paper", data=folder(tmp_path, products, about))
    with pytest.raises(SettingError, match=message) as caught:
        env.reset(seed=0)
    assert "\n" not in str(caught.value)


def test_a_damaged_line_of_documents_is_named(tmp_path: Path) -> None:
    lines = [json.dumps({"id": "x", "product": MUG}), '{"id": "y"}']
    (tmp_path / "documents.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingError, match=r"documents.jsonl is damaged at line 2: KeyError"):
        PublishedStock(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not a folder; give data=FOLDER"):
        WebShop("paper", data=tmp_path / "nowhere").reset(seed=0)
    with pytest.raises(SettingError, match=r"neither items_shuffle\*.json nor documents\*.jsonl"):
        WebShop("paper", data=tmp_path).reset(seed=0)


def test_a_task_beyond_the_goals_is_refused(tmp_path: Path) -> None:
    env = WebShop("paper", data=folder(tmp_path))
    assert env.environment == "webshop-original"
    env.reset(options={"task": "webshop-original/test/1"})
    with pytest.raises(TaskError, match="with the 2 goals of this folder the split test has 2"):
        env.reset(options={"task": "webshop-original/test/2"})
    with pytest.raises(TaskError, match="does not belong to environment webshop-original"):
        env.reset(options={"task": "webshop-paper/test/0"})


def test_texts_come_into_the_alphabet() -> None:
    assert clean("Crème\tbrûlée ‘9″’ 日本 ›") == "Creme brulee ’9”’ >"
    assert CHARSET.issuperset(clean("".join(map(chr, range(0x3000)))))


# The published files themselves -------------------------------------------------------------------


@needs_data
def test_the_published_products_are_sold() -> None:
    env = WebShop("paper", data=DATA)
    assert len(env.shop.stock) == 100
    num_won = 0
    for index in range(100):
        env.reset(seed=index)
        for answer in env.solution():
            env.step(answer)
        num_won += env.won
    assert num_won == 100


@needs_data
def test_the_test_range_means_the_same_goals_everywhere() -> None:
    env = WebShop("paper", data=DATA)
    digest = hashlib.sha256()
    for index in range(500):
        env.load(Task("webshop-original", "test", index))
        digest.update(f"{env._goal.instruction}\n{env.fingerprint()}\n".encode())
    assert digest.hexdigest()[:16] == "a777753764e588bf"


@needs_data
def test_human_goals_are_listed_as_published() -> None:
    env = WebShop("paper", data=DATA, goals="human")
    assert env.environment == "webshop-original_human"
    observation, _ = env.reset(seed=0)
    assert "gluten free" in observation


def test_a_run_on_published_files_says_so_and_replays_on_request_only(tmp_path: Path) -> None:
    shop = folder(tmp_path)
    options = {"data": str(shop)}
    out = tmp_path / "run"
    played = run("random", "webshop-paper", environment_options=options, tasks=1, out=out)
    settings = played.manifest().settings
    assert settings.environment_options == options
    assert settings.suite is None
    assert {trial.task for trial in played.trials()} == {"webshop-original/test/0"}
    assert verify(played, allow_imports=True).divergence is None
    refused = verify(played).divergence
    assert refused is not None
    assert "without options" in str(refused)


@pytest.mark.parametrize(
    ("environment", "options", "line"),
    [
        ("webshop-paper", {"data": "no-such-folder"}, "'no-such-folder' is not a folder"),
        ("webshop-paper", {"dta": "x"}, "Did you mean 'data'"),
        ("webshop-easy", {"reward": "all"}, "reward is 'all'"),
        ("webshop-easy", {"level": "hard"}, "No option of WebShop is called 'level'"),
    ],
)
def test_bad_options_stop_a_run_before_it_starts(
    environment: str, options: dict[str, str], line: str, tmp_path: Path
) -> None:
    with pytest.raises(LamerBenchError, match=line):
        run("random", environment, environment_options=options, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
