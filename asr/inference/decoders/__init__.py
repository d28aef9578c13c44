"""Decoders: scores of a network to words with times and confidences."""
