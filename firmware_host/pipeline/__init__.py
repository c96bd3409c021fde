"""The live pipeline: stages with a thread each, joined by bounded queues."""
