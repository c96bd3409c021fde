"""Quantize graphs with NNCF, by a recipe for each target."""
