"""The tasks: one file (or folder) for each family, listed in catalogue.py."""
