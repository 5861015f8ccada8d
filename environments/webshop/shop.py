"""A shop: products, their index, and the pages made of them, shared by all who play in it."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from environments.webshop import departments, pages
from environments.webshop.catalogue import Catalogue
from environments.webshop.pages import HITS_A_PAGE, Page
from environments.webshop.products import Stock
from environments.webshop.published import published_stock
from environments.webshop.search import index_of

Size = Literal["light", "large"]
SIZES: dict[Size, int] = {"light": 1_000, "large": 100_000}
"""Products of a shop of our own."""
Range = Literal["main", "held_out"]
"""What a shop of our own sells: see `departments.DEPARTMENTS` and
`departments.HELD_OUT`."""

_PAGES_KEPT = 2_048
"""Pages of each sort that a shop remembers."""

Chosen = tuple[tuple[str, str], ...]
"""Options chosen on an item's page: (name, value), in the order of the product's options."""


class Shop:
    """Products and their pages. Pages are made once and are the same object for every visitor."""

    def __init__(self, stock: Stock) -> None:
        self.stock = stock
        self.index = index_of(stock)
        self.start = pages.search_page()
        keep = lru_cache(maxsize=_PAGES_KEPT)
        self.results = keep(self._results)
        """(query, number from 1) -> a page of results."""
        self.item = keep(self._item)
        """(position, chosen) -> a product's page."""
        self.behind = keep(self._behind)
        """(position, one of `pages.SUB_PAGES`) -> a page behind a product's page."""

    def _results(self, query: str, number: int) -> Page:
        hits = self.index.search(query)
        shown = hits[(number - 1) * HITS_A_PAGE : number * HITS_A_PAGE]
        return pages.results_page([self.stock[hit] for hit in shown], number, len(hits))

    def _item(self, position: int, chosen: Chosen) -> Page:
        return pages.item_page(self.stock[position], dict(chosen))

    def _behind(self, position: int, name: str) -> Page:
        return pages.sub_page(self.stock[position], name)


@cache
def own_stock(sells: Range, size: Size) -> Catalogue:
    """Our own catalogue; the same object for all."""
    sold = departments.DEPARTMENTS if sells == "main" else departments.HELD_OUT
    return Catalogue(sells, sold, SIZES[size])


@cache
def own_shop(sells: Range, size: Size) -> Shop:
    """The shop of our own catalogue; the same object for all."""
    return Shop(own_stock(sells, size))


@cache
def published_shop(folder: Path) -> Shop:
    """The shop of the published products in a folder; the same object for all."""
    return Shop(published_stock(folder))
