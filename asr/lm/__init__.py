"""n-gram language models: estimation, pruning, ARPA files, scoring."""
