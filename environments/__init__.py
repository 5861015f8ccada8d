"""The tasks: one file (or folder) for each family, listed in catalogue.py."""

# Importing the core imports every family. Done first, so that ``from environments.sokoban import
# Sokoban`` works as a program's first line: the core would otherwise meet a half-imported module.
import lamer_bench  # noqa: F401
