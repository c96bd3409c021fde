"""The live pipeline: stages joined by bounded queues."""
