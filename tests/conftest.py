"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before torch is imported: threads that wait must not spin on a small or busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# What a person's shell may hold and no test expects; processes that a test starts inherit this.
for name in list(os.environ):
    if name.startswith("OPENAI_") or name in (
        *("LAMER_BENCH_DATABASE_URL", "LAMER_BENCH_SALT", "LAMER_BENCH_TOKEN"),
        *("FORCE_COLOR", "COLUMNS"),
    ):
        del os.environ[name]
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

# The same examples each time, however slow the machine is just now.
settings.register_profile(
    "lamer-bench",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lamer-bench")
