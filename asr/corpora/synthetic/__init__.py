"""Synthetic corpora: sentences of a grammar, spoken by espeak-ng."""
