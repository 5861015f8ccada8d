"""What the shop costs: text steps, memory, start, pages in Chromium, and the rule for nouns.

    python scripts/benchmark_webshop.py                       text, memory and start
    python scripts/benchmark_webshop.py --browser             and page to page in Chromium
    python scripts/benchmark_webshop.py --data FOLDER --spacy-model en_core_web_lg
                                                              and how often the two taggers differ

Every rate is the best of three. Searches are counted in: one of the two rates plays each search for
the first time, so that no remembered result helps.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from environments.webshop import WebShop
from environments.webshop.goals import Goal, draw
from environments.webshop.nouns import finder
from environments.webshop.products import Product, Stock
from environments.webshop.published import published_stock
from environments.webshop.published_goals import published_goals
from environments.webshop.scoring import score
from environments.webshop.shop import own_shop, own_stock
from lamer_bench.env import TextEnv, make

REPEATS = 3
EPISODES = 300
PURCHASES = 3_000

_FRESH = """
import resource, sys, time
begin = time.perf_counter()
from environments.webshop import WebShop
env = WebShop("hard", size=sys.argv[1])
env.reset(seed=0)
started = time.perf_counter() - begin
for seed in range(int(sys.argv[2])):
    env.reset(seed=seed)
    for action in env.solution():
        env.step(action)
print(started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--browser", action="store_true", help="measure Chromium, too")
    parser.add_argument("--data", type=Path, help="folder with the published files")
    parser.add_argument("--spacy-model", help="compare the rule for nouns with this model")
    options = parser.parse_args()
    show_text_speed()
    for size in ("light", "large"):
        fresh(size, 0)  # its index is kept now
        started = min(fresh(size, 0)[0] for _ in range(REPEATS))
        print(f"{size} shop: first observation after {started:.2f} s, imports included")
        print(f"{size} shop: {fresh(size, 200)[1]:.0f} MiB at most, 200 episodes played")
    if options.browser:
        show_page_to_page()
    if options.spacy_model:
        show_taggers(options.spacy_model, options.data)


def show_text_speed() -> None:
    """Steps of solutions and random walks, with every search new and with searches remembered."""
    env = WebShop("hard")
    scripts = [
        script for seed in range(EPISODES) for script in (solved(env, seed), walk(env, seed))
    ]
    shop = own_shop("main", "light")
    new, again = [], []
    for _ in range(REPEATS):
        for cache in (shop.index.search, shop.results, shop.item, shop.behind):
            cache.cache_clear()
        new.append(rate(env, scripts))
        again.append(rate(env, scripts))
    print(f"text steps: {max(new):,.0f}/s with new searches, {max(again):,.0f}/s again")


def solved(env: TextEnv, seed: int) -> tuple[int, list[str]]:
    """A task and its solution."""
    env.reset(seed=seed)
    return seed, env.solution()


def walk(env: TextEnv, seed: int) -> tuple[int, list[str]]:
    """A task and a random trial on it that searches for a product's words."""
    rng = random.Random(seed)
    stock = own_stock("main", "light")
    _, info = env.reset(seed=seed)
    actions: list[str] = []
    over = False
    while not over:
        words = stock[rng.randrange(len(stock))].search_text().split()
        search = f"search[{' '.join(rng.sample(words, 4))}]"
        actions.append(rng.choice(info.get("admissible") or [search]))
        _, _, ended, truncated, info = env.step(actions[-1])
        over = ended or truncated
    return seed, actions


def rate(env: TextEnv, scripts: list[tuple[int, list[str]]]) -> float:
    """Steps per second of processor time, which other programs do not take away; drawing the tasks
    is not counted."""
    spent, steps = 0.0, 0
    for seed, actions in scripts:
        env.reset(seed=seed)
        begin = time.process_time()
        env.reset()
        for action in actions:
            env.step(action)
        spent += time.process_time() - begin
        steps += len(actions)
    return steps / spent


def fresh(size: str, episodes: int) -> tuple[float, float]:
    """Seconds to the first observation, and most memory in MiB, of a process of its own."""
    command = [sys.executable, "-c", _FRESH, size, str(episodes)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(shown[0]), float(shown[1])


def show_page_to_page() -> None:
    """From a click until the next page was read, in Chromium."""
    env = make("webshop-browser-hard")
    begin = time.perf_counter()
    env.reset(seed=0)
    started = time.perf_counter() - begin
    seconds = []
    for seed in range(20):
        env.reset(seed=seed)
        for action in env.solution():
            begin = time.perf_counter()
            env.step(action)
            seconds.append(time.perf_counter() - begin)
    env.close()
    middle, late = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
    print(
        f"Chromium: {started:.2f} s to start; page to page {1000 * middle:.0f} ms (median), ",
        end="",
    )
    print(f"{1000 * late:.0f} ms (95 %)")


def show_taggers(model: str, data: Path | None) -> None:
    """How often the rule for nouns pays another reward than spaCy's tagger."""
    print(f"nouns by rule against {model}, {PURCHASES} random purchases each:")
    stock, level = own_stock("main", "light"), WebShop.levels["hard"]
    rng = random.Random(0)
    drawn = (draw(stock, level, rng) for _ in range(2 * PURCHASES))
    show_differences("own goods", stock, [goal for goal in drawn if goal], model)
    if data is not None:
        goods, goals = published_stock(data), list(published_goals(data, "synthetic").goals)
        show_differences("published goods", goods, goals, model)
        show_differences("published goods of the category", goods, goals, model, is_near=True)


def show_differences(
    name: str, stock: Stock, goals: list[Goal], model: str, *, is_near: bool = False
) -> None:
    """One line for one sort of purchases."""
    differences = []
    wins = 0
    for product, chosen, goal in purchases(stock, goals, is_near=is_near):
        by_rule = score(product, chosen, goal.wanted, finder("rule")).total
        by_spacy = score(product, chosen, goal.wanted, finder("spacy", model)).total
        wins += (by_rule == 1.0) != (by_spacy == 1.0)
        if by_rule != by_spacy:
            differences.append(abs(by_rule - by_spacy))
    share = len(differences) / PURCHASES
    largest = max(differences, default=0.0)
    print(f"  {name}: {share:.1%} differ, by at most {largest:.2f}; {wins} in whether it is won")


def purchases(
    stock: Stock, goals: list[Goal], *, is_near: bool
) -> Iterator[tuple[Product, Mapping[str, str], Goal]]:
    """Random products with random options; near ones share a category with what is wanted."""
    rng = random.Random(0)
    for goal in rng.choices(goals, k=PURCHASES):
        position = rng.randrange(len(stock))
        if is_near:
            path = set(goal.wanted.path)
            near = [at for at in range(len(stock)) if len(path & set(stock[at].path)) >= 2]
            position = rng.choice(near or [goal.position])
        product = stock[position]
        options = [option for option in product.options if rng.random() < 0.8]
        yield product, {option.name: rng.choice(option.values) for option in options}, goal


if __name__ == "__main__":
    main()
