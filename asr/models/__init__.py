"""Models on disk: save, load, describe."""
