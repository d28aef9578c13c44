"""Training jobs, one file per system: data, dev figures and model card."""
