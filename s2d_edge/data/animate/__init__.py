"""Animated stills: labelled photographs of faces become labelled clips.

FaceMesh's points of a still are moved from where the face would be at rest to where the photograph has
them, and the picture with them. Free of torch.
"""

from s2d_edge.data.animate.dataset import animate_stills
from s2d_edge.data.animate.settings import AnimateSettings

__all__ = ["AnimateSettings", "animate_stills"]
