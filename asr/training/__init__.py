"""Training a configuration, and scoring a model on manifests."""
