"""n-gram language models: estimated from text, read from and written to ARPA files, asked by searches."""
