"""Searches and alignment for transducers."""
