"""Data for training and evaluation: manifests, datasets, sampling, batches."""
