"""Run trained models: recognize, classify, detect, caption, pronounce, generate."""
