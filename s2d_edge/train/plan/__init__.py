"""The plan of a training: settings, how options change them, and the start."""
