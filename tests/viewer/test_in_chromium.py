"""The viewer in headless Chromium: filter, open, step, follow a link; nothing that an agent wrote
runs. Needs selenium (the extra ``browser``) and Chromium with its driver; ``VIEWER_SCREENSHOTS``
names a folder for pictures of what was seen."""

from __future__ import annotations

import os
import re
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.viewer import write_page
from tests.viewer.players import HOSTILE, served, write_example

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

Driver = Any
TRIAL = "#task=minesweeper-easy/test/0"


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1200"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    started = webdriver.Chrome(options=options, service=service)
    yield started
    started.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    return write_page(write_example(folder / "run"), folder / "view.html")[0]


def visit(driver: Driver, address: str, link: str = "") -> None:
    driver.get("about:blank")  # a change after the # alone would not load the page anew
    driver.get(f"{address}{link}")


def until(driver: Driver, condition: Callable[[Driver], Any]) -> Any:
    """What the condition gives as soon as it holds; an element may be drawn anew meanwhile."""
    waiting = WebDriverWait(driver, 60, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(condition)


def wait(driver: Driver, selector: str) -> Any:
    return until(driver, lambda page: page.find_elements(By.CSS_SELECTOR, selector))[0]


def wait_for_title(driver: Driver, part: str) -> None:
    until(driver, lambda page: any(part in title.text for title in all_of(page, "h1")))


def all_of(driver: Driver, selector: str) -> list[Any]:
    return list(driver.find_elements(By.CSS_SELECTOR, selector))


def words(element: Any) -> str:
    """The whole text, as it is; `text` would leave out what is scrolled away."""
    return str(element.get_attribute("textContent"))


def press(driver: Driver, *keys: str) -> None:
    for key in keys:
        driver.find_element(By.TAG_NAME, "body").send_keys(key)


def picture(driver: Driver, name: str) -> None:
    folder = os.environ.get("VIEWER_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(folder, f"{name}.png")))


def errors(driver: Driver) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_table_lists_the_trials_and_filters_them(driver: Driver, file: Path) -> None:
    visit(driver, file.as_uri())
    assert len(all_of(driver, ".rows tbody tr")) == 6
    picture(driver, "table")
    Select(wait(driver, "select[name=kind]")).select_by_value("all")
    assert len(all_of(driver, ".rows tbody tr")) == 12
    Select(wait(driver, "select[name=result]")).select_by_value("void")
    assert [row.text for row in all_of(driver, ".rows tbody td:nth-child(5)")] == ["void"]
    Select(wait(driver, "select[name=result]")).select_by_value("all")
    wait(driver, "input[name=text]").send_keys("test/3")
    assert len(all_of(driver, ".rows tbody tr")) == 2
    assert wait(driver, ".count").text == "2 of 12 trials"
    assert driver.execute_script("return document.activeElement.name") == "text"
    assert "kind=all" in driver.current_url
    assert errors(driver) == []


def test_filters_by_result_agree_with_the_rows(driver: Driver, file: Path) -> None:
    for result, expected in (("won-3", "won in episode 3"), ("lost", "lost")):
        visit(driver, file.as_uri(), f"#result={result}")
        wait(driver, ".filters")
        shown = {row.text for row in all_of(driver, ".rows tbody td:nth-child(5)")}
        assert shown == {expected}
    visit(driver, file.as_uri(), "#invalid=1")
    invalid = [int(cell.text) for cell in all_of(driver, ".rows tbody td:nth-child(7)")]
    assert invalid
    assert min(invalid) > 0


def test_a_trial_shows_its_episodes_side_by_side_with_the_reflections_between(
    driver: Driver, file: Path
) -> None:
    visit(driver, file.as_uri())
    all_of(driver, ".rows tbody tr a")[0].click()
    wait(driver, ".episodes")
    classes = [one.get_attribute("class").split()[0] for one in all_of(driver, ".episodes > *")]
    assert classes == ["episode", "reflection", "episode", "reflection", "episode"]
    assert words(all_of(driver, ".reflection pre")[0]) == f"Note 1: {HOSTILE}"
    lefts = [one.rect["x"] for one in all_of(driver, ".episodes > *")]
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == 5
    board = all_of(driver, ".episode .board")[0]
    assert len(board.find_elements(By.TAG_NAME, "td")) == 36
    assert len(board.find_elements(By.CSS_SELECTOR, "td.is-hidden")) > 20
    sizes = {(cell.rect["width"], cell.rect["height"]) for cell in all_of(driver, ".board td")}
    assert max(width for width, _ in sizes) < 40
    assert max(height for _, height in sizes) < 40
    assert "unlike episode 1" in wait(driver, '[data-episode="1"] .differs .mark').text
    picture(driver, "trial")
    driver.back()
    until(driver, lambda page: len(all_of(page, ".rows tbody tr")) == 6)


def test_what_an_agent_wrote_stays_text(driver: Driver, file: Path) -> None:
    visit(driver, file.as_uri(), TRIAL)
    wait(driver, ".episodes")
    press(driver, "a")
    wait(driver, ".answer[open] pre")
    assert HOSTILE in {words(one) for one in all_of(driver, ".answer pre")}
    assert driver.title == "opener on minesweeper-easy"
    assert all_of(driver, "#page script, #page img") == []
    assert errors(driver) == []


def test_a_script_that_gets_into_the_page_does_not_run(driver: Driver, file: Path) -> None:
    visit(driver, file.as_uri())
    driver.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.owned = 1';"
        "document.body.append(one);"
        "const two = document.createElement('div'); two.innerHTML = '<b onclick=\"owned = 1\">x';"
        "document.body.append(two); two.firstChild.click();"
    )
    assert driver.execute_script("return window.owned") is None
    assert any("Content Security Policy" in message for message in errors(driver))


def chosen(driver: Driver) -> tuple[int, int]:
    card = wait(driver, ".turn.chosen")
    episode = card.find_element(By.XPATH, "ancestor::article").get_attribute("data-episode")
    return int(episode), int(card.get_attribute("data-turn"))


def test_keys_step_through_turns_episodes_and_trials(driver: Driver, file: Path) -> None:
    visit(driver, file.as_uri(), TRIAL)
    wait(driver, ".episodes")
    assert chosen(driver) == (0, 0)
    press(driver, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert chosen(driver) == (0, 2)
    press(driver, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert chosen(driver) == (1, 1)
    assert "episode=2" in driver.current_url
    assert "turn=2" in driver.current_url
    press(driver, "o")
    assert wait(driver, ".turn.chosen .answer[open] pre").text.startswith("I open it")
    press(driver, "d")
    assert "differs" in wait(driver, ".turn.chosen").get_attribute("class")
    press(driver, "n")
    wait_for_title(driver, "test/1")
    press(driver, Keys.ESCAPE)
    wait(driver, ".rows")


def test_a_deep_link_opens_its_turn(driver: Driver, file: Path) -> None:
    visit(driver, file.as_uri(), "#task=minesweeper-easy/test/2&of=control&episode=3&turn=2")
    assert chosen(driver) == (2, 1)
    assert "memory wiped" in wait(driver, ".about").text
    assert wait(driver, "h1").text == "minesweeper-easy/test/2"
    visit(driver, file.as_uri(), "#task=minesweeper-easy/test/99")
    assert "There is no trial" in wait(driver, ".note").text


def test_what_it_was_told_follows_the_memory(driver: Driver, file: Path) -> None:
    def told(kind: str) -> str:
        visit(driver, file.as_uri(), f"{TRIAL}&of={kind}&episode=2&turn=2")
        part = wait(driver, ".turn.chosen .told")
        part.find_element(By.TAG_NAME, "summary").click()
        return words(wait(driver, ".turn.chosen .told pre"))

    with_memory, wiped = told("trial"), told("control")
    assert "Its reflection after episode 1:\nNote 1: " in with_memory
    assert "Episode 1, not solved:" in with_memory
    assert with_memory.startswith("Rules:\nMineSweeper.")
    assert "reflection" not in wiped
    assert "not solved" not in wiped


@pytest.mark.parametrize(
    ("environment", "board"),
    [("sokoban-medium", True), ("webshop-easy", False), ("tests.toys:Doors-easy", False)],
)
def test_other_environments(driver: Driver, tmp_path: Path, environment: str, board: bool) -> None:
    folder = write_example(tmp_path / "run", environment, tasks=2)
    path = write_page(folder, tmp_path / "view.html", allow_imports=True)[0]
    task = next(folder.trials()).task
    visit(driver, path.as_uri(), f"#task={task}")
    wait(driver, ".episodes")
    assert bool(all_of(driver, ".board .is-player")) is board
    assert board or all_of(driver, ".turn pre.text")
    picture(driver, environment.partition("-")[0].rpartition(":")[2])
    assert errors(driver) == []


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1400), ("light", 420), ("dark", 420)])
def test_dark_and_narrow_pages_are_readable(
    driver: Driver, file: Path, scheme: str, width: int
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for place, link in (("table", ""), ("trial", TRIAL)):
            visit(driver, file.as_uri(), link)
            wait(driver, ".rows" if place == "table" else ".episodes")
            paper, ink = driver.execute_script(
                "const own = getComputedStyle(document.body);"
                "return [own.backgroundColor, own.color]"
            )
            assert (brightness(paper) > brightness(ink)) is (scheme == "light")
            across = driver.execute_script("return document.documentElement.scrollWidth")
            assert across <= width, "only the episodes and the table scroll sideways"
            picture(driver, f"{place}-{scheme}-{width}")
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def brightness(colour: str) -> int:
    """Of a computed colour, ``rgb(1, 2, 3)``."""
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_a_served_run_opens_its_trials(driver: Driver, tmp_path: Path) -> None:
    with served(write_example(tmp_path / "run")) as server:
        visit(driver, server.address, TRIAL)
        assert chosen(driver) == (0, 0)
        assert len(all_of(driver, ".episode")) == 3
        press(driver, "n")
        wait_for_title(driver, "test/1")


@pytest.mark.slow
def test_ten_thousand_turns_open_and_step_about_as_fast_as_a_few(
    driver: Driver, tmp_path: Path
) -> None:
    """`pytest -s` shows the times."""

    def times(tasks: int) -> tuple[int, float, float]:
        """Turns, and milliseconds until they are shown and from key to key."""
        path, content = write_page(
            write_example(tmp_path / f"run-{tasks}", "sokoban-hard", tasks=tasks),
            tmp_path / f"{tasks}.html",
        )
        visit(driver, path.as_uri())
        wait(driver, ".rows")
        opened = driver.execute_script(
            "return performance.getEntriesByType('navigation')[0].loadEventEnd"
        )
        driver.execute_script("openTrial(1)")
        wait(driver, ".episodes")
        frames = driver.execute_async_script(STEP_THROUGH)
        assert len(frames) >= STEPS
        return content.num_turns, opened, statistics.median(frames)

    _, opened_few, step_few = times(2)
    num_turns, opened, step = times(85)
    print(f"{num_turns} turns: {opened:.0f} ms to open, {step:.0f} ms a key")
    assert num_turns >= 10_000
    assert opened < 20 * opened_few
    assert step < 10 * step_few  # all trials drawn anew for each key take seconds


STEPS = 40
STEP_THROUGH = f"""
const done = arguments[0];
const frames = [];
let last = performance.now();
const next = () => {{
  const now = performance.now();
  frames.push(now - last);
  last = now;
  if (frames.length > {STEPS}) return done(frames.slice(1));
  const key = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "n"][frames.length % 5];
  document.body.dispatchEvent(new KeyboardEvent("keydown", {{ key, bubbles: true }}));
  requestAnimationFrame(next);
}};
requestAnimationFrame(next);
"""
"""Steps through turns, episodes and trials, a key in each frame; gives the frames' times."""
