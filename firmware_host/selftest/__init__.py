"""Comparing a device's logits with those a bundle carries."""
