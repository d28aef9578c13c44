"""Metrics: error rates, captions, classification, calibration of confidences, confidence intervals."""
