"""Error rates, caption metrics, calibration and significance tests."""
