"""Clips and labels: readers, avatars, and what makes them tensors."""
