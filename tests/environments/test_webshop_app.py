"""The served pages: what they hold equals what the environment tells, whoever asks for them."""

from __future__ import annotations

import random
import threading
from html.parser import HTMLParser
from urllib.request import urlopen

import pytest

pytest.importorskip("flask", reason="flask is in the [browser] extra")

from flask.testing import FlaskClient

from environments.webshop import WebShop
from environments.webshop.app import MOST_VISITORS, Lobby, Server, create_app
from environments.webshop.pages import INSTRUCTION, Element, Page
from environments.webshop.published import published_stock
from lamer_bench import Task
from tests.webshop_data import DATA, needs_data


class Reader(HTMLParser):
    """The elements of a served page, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.name = ""
        self.elements: list[Element] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.name = about.get("data-page") or self.name
        if "data-role" in about:
            self._open, self._text = (tag, about), ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[0] == tag:
            about = self._open[1]
            is_pressed = about.get("aria-pressed") == "true"
            group = about.get("data-group") or ""
            element = Element(self._text, about["data-role"], is_pressed, group)  # type: ignore[arg-type]
            self.elements.append(element)
            self._open = None

    def observation(self, form: str) -> str:
        instruction = next((e.text for e in self.elements if e.role == "instruction"), "")
        shown = [INSTRUCTION if e.role == "instruction" else e for e in self.elements]
        return Page(self.name, tuple(shown)).render(instruction, form)  # type: ignore[arg-type]


class Visitor:
    """Plays the served pages through Flask's test client."""

    def __init__(self, env: WebShop, turn_limit: int | None = None) -> None:
        self.client: FlaskClient = create_app(Lobby(env.enter, turn_limit)).test_client()
        self.address = self.client.get("/").headers["Location"]

    def act(self, action: str) -> None:
        verb, _, inner = action.removesuffix("]").partition("[")
        name = "words" if verb.lower() == "search" else "click"
        answer = self.client.post(self.address, data={name: inner})
        assert (answer.status_code, answer.headers["Location"]) == (303, self.address)

    def html(self) -> str:
        return self.client.get(self.address).text

    def observation(self, form: str) -> str:
        return Reader(self.html()).observation(form)


def play_both(env: WebShop, actions: list[str]) -> None:
    """The served page and the observation are the same after each action."""
    env.reset()
    visitor = Visitor(env)
    assert visitor.observation(env.form) == env.look()
    for action in actions:
        env.step(action)
        visitor.act(action)
        assert visitor.observation(env.form) == env.look()


def random_actions(env: WebShop, rng: random.Random) -> list[str]:
    """A random trial, its clicks as a page writes them or in lower case."""
    env.reset()
    actions: list[str] = []
    while not env._over:
        action = rng.choice(env.admissible() or ["search[blue bottle]", "search[<b>xs</b>]"])
        actions.append(rng.choice([action, action.upper().replace("CLICK", "click")]))
        env.step(actions[-1])
    return actions


@pytest.mark.parametrize("form", ["text", "text_rich"])
@pytest.mark.parametrize("level", list(WebShop.levels))
def test_a_served_page_tells_what_the_environment_tells(level: str, form: str) -> None:
    env = WebShop(level, observation=form)  # type: ignore[arg-type]
    rng = random.Random(level)
    for index in range(4):
        env.load(Task(f"webshop-{level}", "test", index))
        play_both(env, env.solution())
        play_both(env, random_actions(env, rng))


@needs_data
def test_published_products_are_served_as_they_are_told() -> None:
    env, rng = WebShop("paper", data=DATA, observation="text_rich"), random.Random(0)
    for index in range(15):
        env.load(Task("webshop-original", "test", index))
        play_both(env, env.solution())
        play_both(env, random_actions(env, rng))
    assert len(published_stock(DATA)) == 100


@pytest.fixture
def env() -> WebShop:
    env = WebShop("easy")
    env.reset(seed=0)
    return env


def test_markup_in_a_product_is_shown_and_not_carried_out(env: WebShop) -> None:
    visitor = Visitor(env)
    visitor.act("search[<script>alert(1)</script>]")
    assert "<script" not in visitor.html()
    env._goal = type(env._goal)(
        "<img src=x onerror=alert(1)>", env._goal.wanted, env._goal.position, env._goal.options
    )
    assert "&lt;img src=x" in Visitor(env).html()
    assert "<img" not in Visitor(env).html()


def test_pages_need_no_script_and_forbid_it(env: WebShop) -> None:
    answer = Visitor(env).client.get("/", follow_redirects=True)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    assert 'name="viewport"' in answer.text
    assert 'lang="en"' in answer.text


def test_every_field_has_a_name_for_those_who_do_not_see_it(env: WebShop) -> None:
    html = Visitor(env).html()
    assert 'aria-label="Words to search for"' in html
    visitor = Visitor(env)
    for action in env.solution()[:3]:
        visitor.act(action)
    assert visitor.html().count("<legend") == 2
    assert 'aria-pressed="true"' in visitor.html()


def test_the_style_is_served_and_knows_dark_and_narrow_screens(env: WebShop) -> None:
    with Visitor(env).client.get("/static/shop.css") as answer:
        css = answer.text
    assert "color-scheme: light dark" in css
    assert "flex-wrap: wrap" in css


def test_visitors_do_not_meet(env: WebShop) -> None:
    lobby = Lobby(env.enter)
    client = create_app(lobby).test_client()
    one, other = (client.get("/").headers["Location"] for _ in range(2))
    client.post(one, data={"words": "mug"})
    assert 'data-page="results"' in client.get(one).text
    assert 'data-page="search"' in client.get(other).text


def test_what_is_not_on_the_page_changes_nothing_and_is_said(env: WebShop) -> None:
    visitor = Visitor(env, turn_limit=10)
    for data in ({"click": "Buy Now"}, {"words": "  "}, {}, {"click": "x" * 10_000}):
        visitor.client.post(visitor.address, data=data)
    assert 'data-page="search"' in visitor.html()
    assert "That is not on this page." in visitor.html()
    assert "4 of 10 turns taken" in visitor.html()


def test_an_attempt_of_a_person_ends_with_its_turns_or_a_purchase(env: WebShop) -> None:
    late = Visitor(env, turn_limit=2)
    for action in env.solution():
        late.act(action)
    assert "2 of 2 turns taken" in late.html()
    assert "Not solved." in late.html()
    assert 'data-page="item"' in late.html()
    winner = Visitor(env, turn_limit=10)
    for action in env.solution():
        winner.act(action)
    assert "Solved." in winner.html()
    assert "Start again" in winner.html()


def test_an_unknown_visit_gets_a_page_with_the_way_back(env: WebShop) -> None:
    answer = Visitor(env).client.get("/visit/nobody")
    assert answer.status_code == 404
    assert 'href="/"' in answer.text


def test_the_longest_away_makes_room(env: WebShop) -> None:
    lobby = Lobby(env.enter)
    client = create_app(lobby).test_client()
    first = client.get("/").headers["Location"]
    for _ in range(MOST_VISITORS):
        lobby.enter()
    assert client.get(first).status_code == 404
    assert len(lobby._visitors) == MOST_VISITORS


def test_a_person_gets_an_address_and_the_server_ends(env: WebShop) -> None:
    server = Server(Lobby(env.enter, env.turn_limit))
    with urlopen(server.address) as answer:
        assert b"WebShop" in answer.read()
    assert server.address.startswith("http://127.0.0.1:")
    server.close()
    assert server._thread not in threading.enumerate()
