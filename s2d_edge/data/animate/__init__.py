"""Animated stills: labelled photographs of faces become labelled clips.

FaceMesh's points of a still are moved from their places in the resting face to their places in the
photograph, and the picture with them. Needs no torch.
"""

from s2d_edge.data.animate.dataset import animate_stills
from s2d_edge.data.animate.settings import AnimateSettings

__all__ = ["AnimateSettings", "animate_stills"]
