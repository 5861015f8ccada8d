"""``python -m lamer_bench`` is the command ``lamer-bench``."""

import sys

from lamer_bench.cli import main

sys.exit(main())
