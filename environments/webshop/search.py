"""Search: BM25 over a stock, the same ranking in every process, from an index that is kept on disk.

Scores come from bm25s with Lucene's formula and the original's parameters (k1 0.9, b 0.4). They are
rounded before they are compared, and equals are ordered by product id, so that neither the order of
additions nor that of the products decides. The index is built once for each content of a stock and
kept in the user's cache folder; a folder that is damaged or not writable costs time, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from environments.webshop.products import Stock

MOST_HITS = 50
"""A search finds at most so many products."""
K1, B = 0.9, 0.4
_DECIMALS = 4
_QUERIES_KEPT = 4_096
_FORMAT = 1
"""Raised whenever a stored index of the same stock would be another."""
_SEAL = "seal.json"

_TOKEN = re.compile(r"[a-z0-9]+")
# those of Lucene's English analysis
_SKIPPED = """
    a an and are as at be but by for if in into is it no not of on or such that the their then there
    these they this to was will with
"""
_STOP_WORDS = frozenset(_SKIPPED.split())


class Index:
    """Finds products of one stock."""

    def __init__(self, retriever: Any, ranks: np.ndarray) -> None:
        self._retriever = retriever
        self._ranks = ranks
        """For each product the place of its id among all ids. [products]"""
        self.search = lru_cache(maxsize=_QUERIES_KEPT)(self._search)
        """Positions of the best products for a query, best first: at most `MOST_HITS`, none that
        shares no word with it."""

    def _search(self, query: str) -> tuple[int, ...]:
        known = self._retriever.vocab_dict
        tokens = [token for token in sorted(set(tokens_of(query))) if token in known]
        if not tokens:
            return ()
        scores = self._retriever.get_scores(tokens)
        hits = np.flatnonzero(scores > 0)
        if len(hits) > MOST_HITS:
            # every product that could be equal to the last one after rounding is kept for now
            least = np.partition(scores[hits], -MOST_HITS)[-MOST_HITS] - 10.0**-_DECIMALS
            hits = hits[scores[hits] >= least]
        rounded = np.round(scores[hits].astype(np.float64), _DECIMALS)
        order = np.lexsort((self._ranks[hits], -rounded))[:MOST_HITS]
        return tuple(hits[order].tolist())


def tokens_of(text: str) -> Iterator[str]:
    """The words that a text is found by: lower case, without accents, stop words and plural s."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    for word in _TOKEN.findall(text.lower()):
        if word not in _STOP_WORDS:
            yield _singular(word)


@lru_cache(maxsize=65_536)
def _singular(word: str) -> str:
    """The S stemmer (Harman, "How effective is suffixing?", 1991)."""
    if len(word) < 4 or word.endswith(("us", "ss")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return f"{word[:-3]}y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word[:-1] if word.endswith("s") and not word.endswith("es") else word


# The kept index ----------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where indexes are kept: ``$LAMER_BENCH_CACHE``, else the user's cache folder."""
    if given := os.environ.get("LAMER_BENCH_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lamer-bench"


def index_of(stock: Stock) -> Index:
    """The index of a stock: read where it is kept and whole, else built and kept."""
    import bm25s

    settings = f"{stock.version()} {bm25s.__version__} {K1} {B} {_FORMAT} {_sources()}"
    key = hashlib.sha256(settings.encode()).hexdigest()[:24]
    folder = cache_folder() / f"webshop-{stock.name}-{len(stock)}-{key}"
    kept = _read(folder)
    if kept is not None:
        return kept
    retriever, ranks = _build(stock)
    if _keep(folder, retriever, ranks):
        kept = _read(folder)  # from the file, so that the built one can be forgotten
    return kept or Index(retriever, ranks)


def _sources() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _build(stock: Stock) -> tuple[Any, np.ndarray]:
    import bm25s

    vocabulary: dict[str, int] = {}
    ids: list[str] = []
    corpus: list[array[int]] = []
    for product_id, text in stock.documents():
        words = (vocabulary.setdefault(word, len(vocabulary)) for word in tokens_of(text))
        corpus.append(array("i", words))
        ids.append(product_id)
    retriever = bm25s.BM25(k1=K1, b=B, method="lucene")
    retriever.index((corpus, vocabulary), show_progress=False)
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids), dtype=np.int32)
    return retriever, ranks


def _keep(folder: Path, retriever: Any, ranks: np.ndarray) -> bool:
    """Store an index whole or not at all; False where that is not possible."""
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="webshop-unfinished-"))
        retriever.save(str(temporary), show_progress=False)
        np.save(temporary / "ranks.npy", ranks)
        seal = {file.name: _digest(file) for file in sorted(temporary.iterdir())}
        (temporary / _SEAL).write_text(json.dumps(seal), encoding="utf-8")
        if folder.exists() and _read(folder) is None:
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder.exists()  # another process may have been faster
    return True


def _read(folder: Path) -> Index | None:
    """A kept index, or None where it is absent or not as it was stored."""
    import bm25s

    try:
        seal = json.loads((folder / _SEAL).read_bytes())
        if {name: _digest(folder / name) for name in seal} != seal:
            return None
        retriever = bm25s.BM25.load(str(folder), mmap=True, load_corpus=False)
        ranks = np.load(folder / "ranks.npy", mmap_mode="r")
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return Index(retriever, ranks)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
