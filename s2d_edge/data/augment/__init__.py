"""Augmentation of clips on tensors. The only part of ``data`` that needs torch."""
