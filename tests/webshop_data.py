"""Where the published WebShop files are, for the tests that read them."""

import os
from pathlib import Path

import pytest

_NEIGHBOUR = Path(__file__).resolve().parents[2] / "shared" / "data" / "webshop"
DATA = Path(os.environ.get("LAMER_BENCH_WEBSHOP_DATA", _NEIGHBOUR))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(),
    reason=f"the published WebShop files are not at {DATA}; set LAMER_BENCH_WEBSHOP_DATA",
)
