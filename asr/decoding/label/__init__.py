"""Label-synchronous decoding: beam search and sampling over label scorers."""
