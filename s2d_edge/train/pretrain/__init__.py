"""Pre-training of the ViT on pictures without labels, as a masked autoencoder."""
