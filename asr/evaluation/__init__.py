"""How good are hypotheses: error rates, their uncertainty, and reports."""
