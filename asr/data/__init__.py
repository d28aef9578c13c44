"""Manifests of speech, and the batches that training reads from them."""
