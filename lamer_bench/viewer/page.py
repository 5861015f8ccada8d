"""The page: style, script and content in one HTML file.

The content security policy allows this style and this script by their hashes and nothing else: no
remote source, no inline handler, no other script, whatever an agent wrote.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib import resources
from typing import Any

from lamer_bench.viewer.content import Content, Strings, all_trials

SCRIPTS = ("dom.js", "board.js", "source.js", "table.js", "trial.js", "main.js")
"""In the order in which they are joined."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>This page needs JavaScript, which stands in the page itself.</noscript>
<main id="page"></main>
<script type="application/json" id="content">{content}</script>
<script>{script}</script>
</body>
</html>
"""


def whole_page(content: Content) -> str:
    """The run with all its trials."""
    strings = Strings()
    trials = list(all_trials(content, strings))
    document = content.head() | {"rows": content.rows, "trials": trials}
    return _page(content, document | {"strings": strings.all()})


def served_page(content: Content) -> str:
    """The run's rows; trials are asked for one by one at ``trial/<index>.json``."""
    return _page(content, content.head() | {"rows": content.rows}, connect="connect-src 'self'; ")


def served_trial(content: Content, index: int) -> str:
    """A trial as JSON for a served page."""
    strings = Strings()
    episodes = content.trial(index, strings)
    return json.dumps({"episodes": episodes, "strings": strings.all()}, ensure_ascii=False)


def _page(content: Content, document: dict[str, Any], connect: str = "") -> str:
    style = asset("page.css")
    script = '"use strict";\n' + "\n".join(asset(name) for name in SCRIPTS)
    policy = (
        f"default-src 'none'; {connect}style-src '{_source(style)}'; "
        f"script-src '{_source(script)}'; base-uri 'none'; form-action 'none'"
    )
    settings = content.settings
    return _PAGE.format(
        policy=policy,
        title=html.escape(f"{settings.agent} on {settings.environment}"),
        style=style,
        content=embedded(document),
        script=script,
    )


def embedded(document: Any) -> str:
    """JSON that may stand in a script element: no text in it can end the element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def asset(name: str) -> str:
    """A file of the page."""
    return resources.files("lamer_bench.viewer").joinpath("assets", name).read_text("utf-8")


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
