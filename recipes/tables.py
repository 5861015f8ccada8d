"""The tables of docs/results and docs/results.md, which recipes write a part of at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def update(page: Path, name: str, rows: Sequence[Row], is_anew: Callable[[Row], bool]) -> None:
    """Put rows into a page's table of that name, in the place of those that were asked anew."""
    replace_between(page, name, markdown(merged(read_table(page, name), rows, is_anew)))


def update_csv(path: Path, rows: Sequence[Row], is_anew: Callable[[Row], bool]) -> None:
    """The same for a CSV file."""
    write_csv(path, merged(read_csv(path), rows, is_anew))


def update_tests(
    file: Path,
    page: Path,
    name: str,
    rows: Sequence[Row],
    is_anew: Callable[[Row], bool],
    corrected: Callable[[Sequence[Row]], list[Row]],
) -> None:
    """The same for a CSV file and its table together, all rows corrected for each other."""
    tests = corrected(merged(read_csv(file), rows, is_anew))
    write_csv(file, tests)
    replace_between(page, name, markdown(tests))


def read_table(page: Path, name: str) -> list[Row]:
    """All rows of a page's table of that name."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name}: begin -->")
    header, _, *lines = rest.partition(f"<!-- {name}: end -->")[0].strip().splitlines()
    return [dict(zip(cells(header), cells(line), strict=True)) for line in lines]


def read_csv(path: Path) -> list[Row]:
    """All rows of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def merged(old: Sequence[Row], rows: Sequence[Row], is_anew: Callable[[Row], bool]) -> list[Row]:
    """The old rows with new ones where the first of those stood that are replaced; at the end where
    none is."""
    before = next((i for i, row in enumerate(old) if is_anew(row)), len(old))
    kept = [row for row in old[before:] if not is_anew(row)]
    return [*old[:before], *rows, *kept]


def cells(line: str) -> list[str]:
    """Of a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def markdown(rows: Sequence[Row]) -> str:
    """A table."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """All rows, one at least, under the first one's names."""
    names = list(rows[0])
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def replace_between(page: Path, name: str, table: str) -> None:
    """Replace what stands between a page's markers of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
