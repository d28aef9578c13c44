"""Evaluation of models and hypotheses: error rates, their uncertainty, and reports."""
