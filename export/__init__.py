"""Run folder in, bundle out: the model fused for inference, its preprocessing inside the graph."""
