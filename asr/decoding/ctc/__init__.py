"""CTC decoding: greedy search, prefix beam search, forced alignment."""
