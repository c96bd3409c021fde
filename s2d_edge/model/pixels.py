"""From pictures in 0-255 to a ViT's input: colours or luma, then ImageNet's normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# ImageNet statistics, on the 0-255 scale the clips arrive in. The only place they stand.
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
LUMA = (0.299, 0.587, 0.114)  # of R, G and B, by ITU-R BT.601, as JPEG and OpenCV have it


class PictureModel(nn.Module):
    """A model that takes pictures as they are, and normalises them itself."""

    pixel_mean: Tensor
    pixel_std: Tensor
    colours: Tensor

    def __init__(self, *, grey: bool) -> None:
        """Set up; ``grey`` replaces each pixel by its luma."""
        super().__init__()
        self._grey = grey
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        # (3, 3), row by row the mixture of R, G and B in each input colour: itself, or the luma.
        mixture = torch.tensor(LUMA).expand(3, 3) if grey else torch.eye(3)
        self.register_buffer("colours", mixture.clone(), persistent=False)

    def normalise_pictures(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) RGB in 0-255, uint8 or float -> (B, 3, H, W) ImageNet-normalised."""
        pictures = pictures.to(self.pixel_mean.dtype)
        if self._grey:  # in FP32, as in the exported graph: bfloat16 would round it to whole levels
            with torch.autocast(pictures.device.type, enabled=False):
                pictures = pictures @ self.colours.T
        normalised: Tensor = (pictures.permute(0, 3, 1, 2) - self.pixel_mean) / self.pixel_std
        return normalised
