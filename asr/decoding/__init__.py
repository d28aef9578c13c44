"""Searches: scores in, label sequences out. They know labels only, never text, networks or tasks."""
