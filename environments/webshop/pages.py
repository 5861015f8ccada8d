"""Pages as data: one list of elements, from which both text observations and the HTML are made.

The texts and their order are the original's. Two things are shown that it does not show: the
options chosen so far (so that an observation holds the whole state), and a search that found
nothing says so by its total of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from environments.webshop.products import Product, dollars

Observation = Literal["text", "text_rich"]
Role = Literal["text", "heading", "button", "product", "option", "field", "instruction"]

HITS_A_PAGE = 10
SEPARATOR = " [SEP] "
BACK, PREVIOUS, NEXT, BUY = "Back to Search", "< Prev", "Next >", "Buy Now"
SUB_PAGES = ("Description", "Features", "Reviews", "Attributes")


class Element(NamedTuple):
    """Something visible. Its text is what a reader sees, a browser or an agent alike."""

    text: str
    role: Role = "text"
    """``button``, ``product`` (a link to it) and ``option`` can be clicked; a ``field`` is typed
    into and shows its button; ``heading`` is a larger text; ``instruction`` stands for the task's
    own text."""
    is_pressed: bool = False
    """True for the option that is chosen."""
    group: str = ""
    """The option's name, for ``option``."""


INSTRUCTION = Element("", "instruction")
"""Where a page shows what the task asks for."""
_HEAD = (Element("Instruction:"), INSTRUCTION)


@dataclass(frozen=True)
class Page:
    """A page of the shop without its task: the same object serves every task."""

    name: str
    """``search``, ``results``, ``item``, a sub-page in lower case, or ``done``."""
    elements: tuple[Element, ...]

    @cached_property
    def actions(self) -> dict[str, Element]:
        """Canonical clicks -> what is clicked; the first of two elements with the same text."""
        found: dict[str, Element] = {}
        for element in self.elements:
            if element.role in ("button", "product", "option"):
                found.setdefault(f"click[{element.text.lower()}]", element)
        return found

    @property
    def has_search(self) -> bool:
        """True where a search can be typed."""
        return any(element.role == "field" for element in self.elements)

    def render(self, instruction: str, form: Observation) -> str:
        """The page as an agent reads it."""
        before, after = self._plain if form == "text" else self._rich
        return f"{before}{instruction}{after}" if after else before

    @cached_property
    def _plain(self) -> tuple[str, str]:
        return self._around(SEPARATOR, [element.text for element in self.elements])

    @cached_property
    def _rich(self) -> tuple[str, str]:
        return self._around("\n", [_marked(element) for element in self.elements])

    def _around(self, glue: str, texts: list[str]) -> tuple[str, str]:
        """What stands before and behind the instruction."""
        if INSTRUCTION not in self.elements:
            return glue.join(texts), ""
        at = self.elements.index(INSTRUCTION)
        before, after = texts[:at], texts[at + 1 :]
        return glue.join([*before, ""]), glue.join(["", *after])


def _marked(element: Element) -> str:
    if element.role in ("text", "heading", "instruction"):
        return element.text
    if element.is_pressed:
        return f"[clicked button] {element.text} [clicked button_]"
    return f"[button] {element.text} [button_]"


# The pages of the shop ---------------------------------------------------------------------------


def search_page() -> Page:
    """Where an attempt begins."""
    return Page("search", (Element("WebShop", "heading"), *_HEAD, Element("Search", "field")))


def results_page(found: Sequence[Product], number: int, total: int) -> Page:
    """A page of results; ``number`` from 1, ``found`` what it shows, ``total`` all that was
    found."""
    elements = [*_HEAD, _button(BACK), Element(f"Page {number} (Total results: {total})")]
    if number > 1:
        elements.append(_button(PREVIOUS))
    if number * HITS_A_PAGE < total:
        elements.append(_button(NEXT))
    for product in found:
        elements.append(Element(product.id, "product"))
        elements += [Element(product.title), Element(product.price_tag)]
    return Page("results", tuple(elements))


def item_page(product: Product, chosen: Mapping[str, str]) -> Page:
    """A product with its options; ``chosen`` maps option names to values."""
    elements = [*_HEAD, _button(BACK), _button(PREVIOUS)]
    for option in product.options:
        elements.append(Element(option.name))
        for value in option.values:
            is_chosen = chosen.get(option.name) == value
            elements.append(Element(value, "option", is_chosen, option.name))
    elements.append(Element(product.title, "heading"))
    if chosen:
        told = [f"{o.name}: {chosen[o.name]}" for o in product.options if o.name in chosen]
        elements.append(Element(f"Chosen: {', '.join(told)}"))
    is_fixed = not chosen or all(not any(option.surcharges) for option in product.options)
    price = product.price_tag if is_fixed else dollars(product.price_with(chosen))
    elements += [Element(f"Price: {price}"), Element(f"Rating: {product.rating}")]
    elements += [_button(name) for name in (*SUB_PAGES, BUY)]
    return Page("item", tuple(elements))


def sub_page(product: Product, name: str) -> Page:
    """One of the pages behind an item's page."""
    texts: Sequence[str]
    if name == "Description":
        texts = (product.description,)
    elif name == "Features":
        texts = product.features
    elif name == "Reviews":
        texts = [_review(stars, text) for stars, text in product.reviews] or ["No reviews yet."]
    else:
        texts = product.listed
    shown = [Element(text) for text in texts if text]
    return Page(name.lower(), (*_HEAD, _button(BACK), _button(PREVIOUS), *shown))


def done_page(total: float) -> Page:
    """What a buyer sees: the reward's score, 0 to 1."""
    return Page(
        "done",
        (
            Element("Thank you for shopping with us!", "heading"),
            Element("Your score (min 0.0, max 1.0)"),
            Element(str(round(total, 3))),
        ),
    )


def _button(text: str) -> Element:
    return Element(text, "button")


def _review(stars: str, text: str) -> str:
    return f"{stars} of 5: {text}" if stars else text
