"""A walk through the board in headless Chromium, from empty to dark. Needs selenium (the extra
``browser``) and Chromium with its driver; ``BOARD_SCREENSHOTS`` names a folder for pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.cli import main
from lamer_bench.record import RunFolder
from leaderboard import client
from tests.leaderboard.conftest import ENVIRONMENT, Lab, served

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
    pytest.skip("Chromium and its driver are not installed", allow_module_level=True)

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.expected_conditions import staleness_of  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

Driver = Any
WIDTHS = {"wide": 1400, "narrow": 420}


@pytest.fixture
def driver() -> Iterator[Driver]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    started = webdriver.Chrome(options=options, service=service)
    yield started
    started.quit()


@pytest.fixture
def url(sealed_lab: Lab) -> Iterator[str]:
    with served(sealed_lab) as address:
        yield address


def picture(driver: Driver, name: str) -> None:
    """At two widths, where pictures are wanted; no page is wider than its window."""
    for word, width in WIDTHS.items():
        driver.set_window_size(width, 1000)
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= driver.execute_script("return window.innerWidth"), (name, word)
        if folder := os.environ.get("BOARD_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            driver.save_screenshot(str(Path(folder) / f"{name}-{word}.png"))
    driver.set_window_size(WIDTHS["wide"], 1000)


def text(driver: Driver) -> str:
    return str(driver.find_element(By.TAG_NAME, "main").text)


def agents(driver: Driver) -> list[str]:
    return [link.text for link in driver.find_elements(By.CSS_SELECTOR, "tbody th a")]


def click(driver: Driver, words: str) -> None:
    follow(driver, driver.find_element(By.LINK_TEXT, words))


def press(driver: Driver, button: str) -> None:
    follow(driver, driver.find_element(By.CSS_SELECTOR, button))


def follow(driver: Driver, element: Any) -> None:
    """Click what leads to another page, and wait until that page is there."""
    left = driver.find_element(By.TAG_NAME, "html")
    element.click()
    waiting = WebDriverWait(driver, 120)
    waiting.until(staleness_of(left))
    waiting.until(lambda page: page.execute_script("return document.readyState") == "complete")


@pytest.mark.slow
def test_a_walk_from_an_empty_board_to_a_trajectory(
    sealed_lab: Lab,
    url: str,
    driver: Driver,
    played: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = sealed_lab
    monkeypatch.setenv(client.TOKEN_VARIABLE, lab.token)
    driver.get(url)
    assert "No entry yet" in text(driver)
    picture(driver, "empty")

    for agent in ("random", "explorer"):
        run = str(played(agent).path)
        arguments = ["--url", url, "--kind", "scripted", "--name", agent.title(), "--wait", "0"]
        assert main(["submit", run, *arguments]) == 0
    driver.get(f"{url}/entries/1")
    assert "pending" in text(driver)
    lab.decide()
    driver.refresh()
    assert "every score recomputed" in text(driver)
    sealed = ["run", "--agent", "random", "--env", ENVIRONMENT, "--sealed", url, "--name", "Random"]
    assert main(sealed) == 0
    driver.refresh()
    assert "Sealed tasks" in text(driver)
    driver.find_element(By.TAG_NAME, "summary").click()
    assert '"schema_version"' in text(driver)
    picture(driver, "entry")

    driver.get(f"{url}/environments/{ENVIRONMENT}")
    assert agents(driver) == ["Explorer", "Random"]
    picture(driver, "environment")
    click(driver, "pass@3")
    click(driver, "pass@3 ↓")
    assert agents(driver) == ["Random", "Explorer"]
    Select(driver.find_element(By.NAME, "split")).select_by_visible_text("sealed")
    press(driver, ".filters button")
    assert agents(driver) == ["Random"]
    picture(driver, "sealed")
    Select(driver.find_element(By.NAME, "split")).select_by_visible_text("test")
    Select(driver.find_element(By.NAME, "kind")).select_by_visible_text("prompting")
    press(driver, ".filters button")
    assert agents(driver) == []
    driver.get(f"{url}/?family=minesweeper&level=easy")
    for box in driver.find_elements(By.NAME, "entries"):
        box.click()
    press(driver, ".actions button")
    assert "told apart" in text(driver)
    picture(driver, "comparison")

    driver.find_element(By.CSS_SELECTOR, ".flips summary").click()
    click(driver, "its")
    WebDriverWait(driver, 60).until(lambda page: page.find_elements(By.CSS_SELECTOR, ".episodes"))
    assert "Episode 1" in driver.find_element(By.TAG_NAME, "main").text
    picture(driver, "trajectory")

    driver.get(url)
    for key in (Keys.TAB, Keys.ENTER, Keys.TAB):  # past the menu, to the first filter
        driver.switch_to.active_element.send_keys(key)
    assert driver.switch_to.active_element.get_attribute("name") == "split"
    light = driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    click(driver, "dark")
    dark = driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert light != dark
    picture(driver, "dark")
    for address in ("verification", "submitting", "audit"):
        driver.get(f"{url}/{address}")
        picture(driver, address)
    assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []
