"""Searches: from scores to label sequences. They know labels only, never text, networks or tasks."""
