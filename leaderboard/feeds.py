"""The Atom feed of new entries."""

from __future__ import annotations

from xml.etree import ElementTree

from flask import Blueprint, Response, current_app, url_for

from leaderboard.board import Board

feeds = Blueprint("feeds", __name__)
_NAMESPACE = "http://www.w3.org/2005/Atom"
_MOST = 50


@feeds.get("/feed.atom")
def atom() -> Response:
    """The newest verified entries."""
    board: Board = current_app.extensions["board"]
    entries = sorted(board.entries.values(), key=lambda entry: entry.id, reverse=True)[:_MOST]
    feed = ElementTree.Element("feed", xmlns=_NAMESPACE)
    _add(feed, "id", url_for("feeds.atom", _external=True))
    _add(feed, "title", f"{board.config.title}: new entries")
    newest = max((entry.decided_at or entry.submitted_at for entry in entries), default=None)
    _add(feed, "updated", newest.isoformat() if newest else "1970-01-01T00:00:00+00:00")
    _add(_add(feed, "author"), "name", board.config.title)
    for entry in entries:
        item = _add(feed, "entry")
        address = url_for("pages.entry", identity=entry.id, _external=True)
        _add(item, "id", address)
        _add(item, "title", _printable(f"{entry.card.name} by {entry.submitter}"))
        _add(item, "updated", (entry.decided_at or entry.submitted_at).isoformat())
        ElementTree.SubElement(item, "link", href=address)
        _add(item, "summary", f"{len(entry.results)} environments, memory {entry.memory}")
    text = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return Response(text, mimetype="application/atom+xml")


def _add(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = text
    return element


def _printable(text: str) -> str:
    """XML has no control characters, not even escaped."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
