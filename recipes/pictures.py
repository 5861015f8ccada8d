"""The pictures of the README and the quickstart: a plot and a page of the viewer, from real runs.

    python recipes/pictures.py [--runs runs/pictures]

Plays the shipped agents on minesweeper-hard (runs that are complete are not played again), then
writes docs/pictures/: `lamer-bench plot` as SVG, `lamer-bench view` in headless Chromium as PNG.
Needs the extras plots and browser, and Chromium with its driver.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from lamer_bench import plots, viewer
from lamer_bench.runner import run
from lamer_bench.viewer import Content

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
ENVIRONMENT = "minesweeper-hard"
AGENTS = ("lamer", "gigpo", "explorer", "random")
TASKS = 100
FIGURES = ("pass-at-k", "diversity")
WINDOW = (980, 900)
COLOURS = 64
"""Of the screenshot's palette: a page has few, and the file is a quarter as large."""


def main() -> None:
    """Play, draw, photograph."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pictures")
    folder = parser.parse_args().runs
    runs = [
        run(agent, ENVIRONMENT, tasks=TASKS, out=folder / agent, notice=print) for agent in AGENTS
    ]
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plots.plot([one.path for one in runs], FIGURES, scratch)
        for name in FIGURES:
            shutil.copy(Path(scratch, f"{name}.svg"), PICTURES)
        page, content = viewer.write_page(runs[0], Path(scratch, "view.html"))
        photograph(f"{page.as_uri()}#task={telling_task(content)}", PICTURES / "viewer.png")
    for file in sorted(PICTURES.iterdir()):
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1000:.0f} kB")


def telling_task(content: Content) -> str:
    """The trial with the fewest turns among those that were won in the second episode."""
    won = [row for row in content.rows if row["kind"] == "trial" and row["won"] == 2]
    return str(min(won, key=lambda row: row["turns"])["task"])


def photograph(address: str, file: Path) -> None:
    """A page as Chromium shows it."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    size = ",".join(map(str, WINDOW))
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", f"--window-size={size}"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.get(address)
        WebDriverWait(driver, 60).until(
            lambda shown: shown.find_elements(By.CSS_SELECTOR, ".episodes")
        )
        image = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
        image.quantize(COLOURS).save(file, optimize=True)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
