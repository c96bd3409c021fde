"""Contracts between stages: bundle, run folder, labels, clip, engine, model sizes, evaluation records."""
