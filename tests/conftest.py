"""What all tests share."""

from __future__ import annotations

import os

# Before torch is imported: threads that wait must not spin on a small or busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
