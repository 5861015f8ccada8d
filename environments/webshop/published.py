"""The published products: WebShop's own files, read from a folder.

Two formats are read: the released ``items_shuffle*.json`` and the search documents
``documents*.jsonl``; attributes come from ``items_ins_v2*.json`` where it is there. Damaged files
are refused with one line, an item without a name or a usable asin is left out, and one without a
price costs what it costs in the original, 100 dollars. Texts are brought into the observation
alphabet: accents and typographic signs become plain ones, what has no counterpart vanishes.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

from environments.webshop.products import Option, Product, Review, dollars
from lamer_bench.env import CHARSET
from lamer_bench.errors import SettingError

MISSING_PRICE = 100.0
"""What the original takes for the price of an item that has none."""

_SIGNS = {ord(old): new for old, new in {"›": ">", "★": "*", "‘": "’", "′": "’", "″": "”"}.items()}
_ID = re.compile(r"[A-Za-z0-9]{1,10}")


class PublishedStock:
    """The products of a folder."""

    name = "original"

    def __init__(self, folder: Path) -> None:
        file = one_file(folder, "items_shuffle*.json", "documents*.jsonl")
        if file is None:
            raise SettingError(f"{folder} holds neither items_shuffle*.json nor documents*.jsonl.")
        self.about = read_about(folder, "items_ins_v2*.json")
        """By id: attributes and instruction."""
        self._products: list[Product] = []
        self._positions: dict[str, int] = {}
        self.instructions: list[Any] = []
        """For each product what its own entry says about instructions, None where nothing."""
        for raw in _raw_products(file):
            product = _product(raw, self.about)
            if product is not None and product.id.lower() not in self._positions:
                self._positions[product.id.lower()] = len(self._products)
                self._products.append(product)
                self.instructions.append(raw.get("instructions"))
        if not self._products:
            raise SettingError(f"{file} holds no product with an asin and a name.")

    def __len__(self) -> int:
        return len(self._products)

    def __getitem__(self, index: int) -> Product:
        return self._products[index]

    def find(self, product_id: str) -> int | None:
        """The position of a product, None when there is none of that id."""
        return self._positions.get(product_id.lower())

    def version(self) -> str:
        """A digest of what the search reads."""
        digest = hashlib.sha256()
        for product_id, text in self.documents():
            digest.update(f"{product_id}\t{text}\n".encode())
        return digest.hexdigest()

    def documents(self) -> Iterator[tuple[str, str]]:
        """(id, what the search reads) of each product: title, description, first feature and
        options, as in the published index."""
        for product in self._products:
            options = [f"{option.name} {' '.join(option.values)}" for option in product.options]
            texts = [product.title, product.description, *product.features[:1], *options]
            yield product.id, " ".join(texts)


@cache
def published_stock(folder: Path) -> PublishedStock:
    """The products of a folder, read once; `SettingError` where they cannot be read."""
    return PublishedStock(folder)


def stream(product_id: str, purpose: str) -> Random:
    """Chance that belongs to a product: the same in every process."""
    digest = hashlib.sha256(f"webshop/original/{product_id}/{purpose}".encode()).digest()
    return Random(int.from_bytes(digest, "big"))


# Files -------------------------------------------------------------------------------------------


def one_file(folder: Path, *patterns: str) -> Path | None:
    """The file of these names: of several the one with 1,000 products, else the first by name."""
    if not folder.is_dir():
        raise SettingError(f"{str(folder)!r} is not a folder; give data=FOLDER with the files.")
    found = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    return next((file for file in found if "_1000." in file.name), found[0] if found else None)


def read_about(folder: Path, pattern: str) -> Mapping[str, Any]:
    """What a file says by product id; empty where there is no such file."""
    file = one_file(folder, pattern)
    if file is None:
        return {}
    content = read_json(file)
    if not isinstance(content, dict):
        raise SettingError(f"{file} is damaged: it holds no mapping from product ids.")
    return content


def read_json(file: Path) -> Any:
    """The content of a JSON file; `SettingError` where it is damaged."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"{file} is damaged: {error}. Get it again.") from error


def _raw_products(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".json":
        entries = read_json(file)
        if not isinstance(entries, list):
            raise SettingError(f"{file} is damaged: it holds no list of products.")
        yield from (entry for entry in entries if isinstance(entry, dict))
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                document = json.loads(line)
                entry = document["product"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise SettingError(
                    f"{file} is damaged at line {number}: {type(error).__name__}. Get it again."
                ) from error
            if isinstance(entry, dict):
                yield entry


# Fields ------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """A text in the observation alphabet, on one line."""
    text = text.translate(_SIGNS)
    if not CHARSET.issuperset(text):
        text = unicodedata.normalize("NFKD", text).translate(_SIGNS)
        kept = (
            "" if unicodedata.combining(sign) else sign if sign in CHARSET else " " for sign in text
        )
        text = "".join(kept)
    return " ".join(text.split())


def texts_of(value: Any) -> tuple[str, ...]:
    """The non-empty texts in a text, a list of them or a mapping to them, cleaned."""
    if isinstance(value, dict):
        value = list(value.values())
    given = value if isinstance(value, list) else [value]
    cleaned = (clean(text) for text in given if isinstance(text, str))
    return tuple(text for text in cleaned if text)


def _product(raw: Mapping[str, Any], about: Mapping[str, Any]) -> Product | None:
    """A product of either format; None where it has no usable asin or name."""
    product_id = raw.get("asin")
    title = _first_text(raw, "Title", "name")
    is_id = isinstance(product_id, str) and _ID.fullmatch(product_id) and product_id != "nan"
    if not is_id or not title:
        return None
    told = about.get(str(product_id))
    attributes = told.get("attributes") if isinstance(told, dict) else raw.get("Attributes")
    prices = _prices(raw.get("pricing"))
    drawn = stream(str(product_id), "price").uniform(prices[0], prices[-1])
    return Product(
        id=str(product_id),
        title=title,
        path=tuple(clean(name) for name in str(raw.get("product_category", "")).split("›")),
        query=_first_text(raw, "query").lower(),
        price=round(drawn, 2),
        price_tag=" to ".join(dollars(price) for price in prices),
        rating=_first_text(raw, "Rating", "average_rating") or "N.A.",
        options=_options(raw.get("options") or raw.get("customization_options")),
        features=texts_of(raw.get("BulletPoints") or raw.get("small_description")),
        description=_first_text(raw, "Description", "full_description"),
        reviews=_reviews(raw.get("Reviews")),
        listed=texts_of(attributes),
        attributes=texts_of(attributes),
    )


def _first_text(raw: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that holds something, as cleaned text."""
    values = (raw.get(name) for name in names)
    return next((clean(str(value)) for value in values if isinstance(value, str | float)), "")


def _prices(pricing: Any) -> list[float]:
    """A price, or lowest and highest, in dollars; written as numbers or ``$10.00 to $20.00``."""
    if isinstance(pricing, str):
        pricing = [text.replace(",", "") for text in re.findall(r"\$\s*([\d,]*\.?\d+)", pricing)]
    amounts = [_amount(one) for one in pricing[:2]] if isinstance(pricing, list) else []
    usable = sorted(amount for amount in amounts if amount is not None)
    return usable or [MISSING_PRICE]


def _amount(value: Any) -> float | None:
    try:
        amount = float(str(value).replace("$", "").replace(",", ""))
    except ValueError:
        return None
    return amount if isfinite(amount) and 0 <= amount < 1e9 else None


def _options(given: Any) -> tuple[Option, ...]:
    """Options from name -> values, or from name -> [{"value": ...}]."""
    options = []
    for name, contents in given.items() if isinstance(given, dict) else ():
        values = [
            content.get("value") if isinstance(content, dict) else content
            for content in (contents if isinstance(contents, list) else ())
        ]
        texts = [text.replace("/", " | ").lower() for text in texts_of(values)]
        kept = tuple(dict.fromkeys(" ".join(text.split()) for text in texts))
        if kept and clean(name):
            options.append(Option(clean(name).lower(), kept, (0.0,) * len(kept)))
    return tuple(options)


def _reviews(given: Any) -> tuple[Review, ...]:
    entries = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    reviews = [
        Review(_stars(entry), _first_text(entry, "body", "review", "title")) for entry in entries
    ]
    return tuple(review for review in reviews if review.text)


def _stars(entry: Mapping[str, Any]) -> str:
    stars = entry.get("score", entry.get("stars", ""))
    return clean(str(stars)) if isinstance(stars, str | int | float) else ""
