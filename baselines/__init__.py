"""The players: scripted, prompting and trained agents, listed in catalogue.py."""
