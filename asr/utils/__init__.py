"""Helpers without a part in recognition: files, threads, resources."""
