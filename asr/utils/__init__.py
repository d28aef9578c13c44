"""Helpers that know nothing of recognition: files, threads, checks, progress."""
