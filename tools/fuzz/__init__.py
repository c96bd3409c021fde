"""Feeds the project damaged files, many and reproducibly: only its own errors may come of them."""
