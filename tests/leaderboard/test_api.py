"""The JSON API against its own description, and the exports."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from leaderboard.api import FLAT
from tests.leaderboard.conftest import ENVIRONMENT, Lab

pytest.importorskip("schemathesis", reason="schemathesis is in the [test] extra")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
OPERATIONS = {
    (method, path)
    for path, methods in json.loads(
        (Path(__file__).parents[2] / "leaderboard" / "openapi.json").read_text("utf-8")
    )["paths"].items()
    for method in methods
}


def test_every_route_is_described(lab: Lab) -> None:
    routes = {
        (
            method.lower(),
            re.sub("<(int:)?([a-z]+)>", r"{\2}", rule.rule).replace("{identity}", "{entry}"),
        )
        for rule in lab.app.url_map.iter_rules()
        if rule.endpoint.startswith(("api.", "sealed.")) or rule.rule.endswith(".json")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == OPERATIONS


@pytest.mark.parametrize(("method", "path"), sorted(OPERATIONS))
@pytest.mark.parametrize("has_token", [False, True])
def test_whatever_is_asked_the_answer_is_as_described(
    method: str, path: str, has_token: bool, filled: Lab, sealed_lab: Lab
) -> None:
    asked = filled if method == "get" else sealed_lab
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", asked.app)
    headers = {"Authorization": f"Bearer {asked.token}"} if has_token else {}

    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(schema[path][method.upper()].as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=headers)

    ask()


def test_the_exports_hold_the_table(filled: Lab) -> None:
    rows = filled.client.get("/api/v1/table", query_string={"environment": ENVIRONMENT}).get_json()
    assert [row["agent"]["name"] for row in rows["rows"]] == ["Explorer & Co", "Chance"]
    query = {"environment": ENVIRONMENT}
    text = filled.client.get("/api/v1/table.csv", query_string=query).text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["agent"] for line in lines] == ["Explorer & Co", "Chance"]
    assert float(lines[0]["pass_at_3"]) == rows["rows"][0]["pass_at"]["3"]["value"]
    assert lines[1]["base_model"] == '\'=HYPERLINK("x")'  # no formula for a spreadsheet
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is in the [export] extra")
    content = filled.client.get("/api/v1/table.parquet", query_string=query).data
    table = parquet.read_table(io.BytesIO(content))
    assert tuple(table.column_names) == FLAT
    assert table["pass_at_3"].to_pylist() == [float(line["pass_at_3"]) for line in lines]


def test_the_feed_lists_new_entries_first(filled: Lab) -> None:
    feed = ElementTree.fromstring(filled.client.get("/feed.atom").data)
    names = {"a": "http://www.w3.org/2005/Atom"}
    titles = [title.text for title in feed.findall("a:entry/a:title", names)]
    assert titles == ["Explorer & Co by lab-a", "Chance by lab-a"]


def test_a_broken_board_tells_no_stranger_how(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("secret/path.py")

    monkeypatch.setattr(lab.database, "num_pending", broken)
    answer = lab.client.get("/healthz")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
