"""S2D-Edge: the S2D facial-expression video model, from training to a camera on an edge device."""

__version__ = "0.1.0"
