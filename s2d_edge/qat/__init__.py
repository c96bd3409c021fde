"""Quantization-aware fine-tuning: the calibration search's last step."""
