"""Sources of frames, and outputs for frames and results."""
