"""Decoders: from the output frames of a network to words with times and confidences."""
