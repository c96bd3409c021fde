"""The files of a run folder under training: snapshots, metrics, curves, environment."""
