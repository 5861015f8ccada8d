"""The published tables: what the page says is what the files beside it say."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamer_bench import metrics

DOCS = Path(__file__).resolve().parent.parent / "docs"
PERCENT = {"pass@1": "pass_at_1", "pass@2": "pass_at_2", "pass@3": "pass_at_3"}


def file(name: str) -> list[dict[str, str]]:
    with (DOCS / "results" / name).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def table(name: str) -> Iterator[dict[str, str]]:
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"<!-- {name}: begin -->")
    heading, _, *lines = rest.partition(f"<!-- {name}: end -->")[0].strip().splitlines()
    names, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in (heading, *lines))
    for row in rows:
        yield dict(zip(names, row, strict=True))


@pytest.mark.parametrize(
    ("name", "path"), [("algorithms", "algorithms.csv"), ("questions", "questions.csv")]
)
def test_a_line_of_the_page_is_the_mean_over_the_seeds_in_the_file(name: str, path: str) -> None:
    runs = defaultdict(list)
    for run in file(path):
        key = (run.get("question"), f"{run['env']}-{run['level']}", run["agent"], run.get("case"))
        runs[key].append(run)
    lines = list(table(name))
    assert len(lines) == len(runs)
    for line in lines:
        found = runs[line.get("question"), line["environment"], line["agent"], line.get("case")]
        assert int(line["seeds"]) == len(found), line
        for heading, column in {**PERCENT, "control": "control_pass_at_3"}.items():
            if values := [float(run[column]) for run in found if run[column]]:
                said = float(line[heading].split()[0])
                assert said == pytest.approx(100 * sum(values) / len(values), abs=0.051), line
            else:
                assert line[heading] == "-" or heading == "control"


@pytest.mark.parametrize(
    ("name", "path"), [("algorithm tests", "algorithms_tests.csv"), ("leads", "leads.csv")]
)
def test_the_tests_on_the_page_are_those_in_the_file_and_corrected_together(
    name: str, path: str
) -> None:
    assert list(table(name)) == file(path)
    tests = defaultdict(list)
    for row in file(path):
        tests[row.get("question")].append(row)
    for rows in tests.values():
        p_values = [metrics.sign_test_p(int(row["better"]), int(row["worse"])) for row in rows]
        for row, p, adjusted in zip(rows, p_values, metrics.holm(p_values), strict=True):
            assert (row["p"], row["p (Holm)"]) == (f"{p:.2g}", f"{adjusted:.2g}"), row
