"""Quantization-aware fine-tuning: a run's weights learn to bear the rounding that NNCF imitates."""
