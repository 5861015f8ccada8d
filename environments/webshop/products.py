"""Products: what is sold, as plain data, whoever made it (`catalogue` or the published files).

Everything that the reward reads and everything that a page shows is a field of `Product`; a page
shows no field that is not named here as shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Option(NamedTuple):
    """A choice on an item's page."""

    name: str
    values: tuple[str, ...]
    surcharges: tuple[float, ...]
    """Dollars on top of the base price, one for each value."""


class Review(NamedTuple):
    """What a buyer wrote."""

    stars: str
    """1 to 5, or empty where it is not known."""
    text: str


@dataclass(frozen=True, slots=True)
class Product:
    """One product. Texts hold characters of the observation alphabet only."""

    id: str
    title: str
    path: tuple[str, ...]
    """Category names, from the department down."""
    query: str
    """The kind of product in a few lower-case words."""
    price: float
    """Base price in dollars: what is paid without an option that costs more."""
    price_tag: str
    """The price as result pages show it."""
    rating: str
    options: tuple[Option, ...]
    features: tuple[str, ...]
    description: str
    reviews: tuple[Review, ...]
    listed: tuple[str, ...]
    """Attributes that its attributes page names."""
    attributes: tuple[str, ...]
    """All its attributes, which the reward compares; no page shows this list."""

    def price_with(self, chosen: Mapping[str, str]) -> float:
        """Dollars to pay with ``chosen`` (option name -> value); unknown values cost nothing."""
        total = self.price
        for option in self.options:
            value = chosen.get(option.name)
            if value in option.values:
                total += option.surcharges[option.values.index(value)]
        return round(total, 2)

    def search_text(self) -> str:
        """What the search reads: title, categories and options, not the pages behind them."""
        values = [" ".join(option.values) for option in self.options]
        return " ".join((self.title, *self.path, self.query, *values))


class Stock(Protocol):
    """A collection of products, by position and by id."""

    name: str
    """Tells collections apart, in fingerprints and in the names of stored indexes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Product: ...

    def find(self, product_id: str) -> int | None:
        """The position of a product, None when there is none of that id."""

    def version(self) -> str:
        """Changes whenever a product may have changed."""

    def documents(self) -> Iterator[tuple[str, str]]:
        """(id, what the search reads) of each product, in order."""


def dollars(amount: float) -> str:
    """``$12.50``"""
    return f"${amount:.2f}"
