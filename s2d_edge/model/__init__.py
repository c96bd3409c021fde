"""S2D: a landmark-prompted ViT image model, and the temporal adapters that make it a video model."""
