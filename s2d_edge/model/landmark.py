"""MobileFaceNet for 68 facial landmarks, under the key names of the published 300W weights.

The prompters read its feature map after ``conv_4``. It stays frozen while S2D trains, unless tuned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import LANDMARK_INPUT, LandmarkConfig


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y


class ConvNormAct(ConvNorm):
    """Convolution, batch norm, PReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, groups)
        self.prelu = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.prelu(super().forward(x))
        return y


class DepthWise(nn.Module):
    """Inverted bottleneck: expand, 3×3 depth-wise, project."""

    def __init__(
        self, inputs: int, outputs: int, hidden: int, *, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        self.residual = residual
        self.conv = ConvNormAct(inputs, hidden)
        self.conv_dw = ConvNormAct(hidden, hidden, 3, stride, 1, groups=hidden)
        self.project = ConvNorm(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + y if self.residual else y


class Residual(nn.Module):
    """A chain of residual inverted bottlenecks."""

    def __init__(self, channels: int, depth: int, hidden: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *(DepthWise(channels, channels, hidden, residual=True) for _ in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class PointHead(nn.Module):
    """Global depth-wise convolution, then a linear regression of the points."""

    def __init__(self, channels: int, points: int) -> None:
        super().__init__()
        self.conv_6_dw = ConvNorm(channels, channels, 7, groups=channels)
        self.linear = nn.Linear(channels, 2 * points, bias=False)
        self.bn = nn.BatchNorm1d(2 * points)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.linear(self.conv_6_dw(x).flatten(1)))
        return y


class MobileFaceNet(nn.Module):
    """MobileFaceNet (arXiv 1804.07573) with a landmark head; 112×112 in, 14×14 features."""

    def __init__(self, config: LandmarkConfig) -> None:
        super().__init__()
        w = config.width
        stage3, stage4, stage5 = config.depths
        self.conv1 = ConvNormAct(3, w, 3, 2, 1)
        self.conv2_dw = ConvNormAct(w, w, 3, 1, 1, groups=w)
        self.conv_23 = DepthWise(w, w, 2 * w, stride=2)
        self.conv_3 = Residual(w, stage3, 2 * w)
        self.conv_34 = DepthWise(w, 2 * w, 4 * w, stride=2)
        self.conv_4 = Residual(2 * w, stage4, 4 * w)
        self.conv_45 = DepthWise(2 * w, 2 * w, 8 * w, stride=2)
        self.conv_5 = Residual(2 * w, stage5, 4 * w)
        self.conv_6_sep = ConvNormAct(2 * w, 8 * w)
        self.output_layer = PointHead(8 * w, config.points)

    def tune_features(self) -> None:
        """Make the layers up to the feature map trainable; those that find the points stay frozen."""
        for part in (self.conv1, self.conv2_dw, self.conv_23, self.conv_3, self.conv_34, self.conv_4):
            part.requires_grad_(True)

    def resize(self, pictures: Tensor) -> Tensor:
        """(B·T, 3, H, W) -> (B·T, 3, 112, 112), bilinear with aligned corners as in the official code."""
        if pictures.shape[-1] == LANDMARK_INPUT:
            return pictures
        return F.interpolate(pictures, (LANDMARK_INPUT, LANDMARK_INPUT), mode="bilinear", align_corners=True)

    def features(self, pictures: Tensor) -> Tensor:
        """(B·T, 3, 112, 112) ImageNet-normalised -> (B·T, 2·width, 14, 14)."""
        x = self.conv_23(self.conv2_dw(self.conv1(pictures)))
        y: Tensor = self.conv_4(self.conv_34(self.conv_3(x)))
        return y

    def points(self, features: Tensor) -> Tensor:
        """(B·T, 2·width, 14, 14) -> (B·T, points, 2), x and y as fractions of the picture."""
        x = self.conv_6_sep(self.conv_5(self.conv_45(features)))
        y: Tensor = self.output_layer(x)
        return torch.unflatten(y, 1, (-1, 2))

    def forward(self, pictures: Tensor) -> Tensor:
        """(B·T, 3, 112, 112) ImageNet-normalised -> (B·T, points, 2) in [0, 1] of the picture."""
        return self.points(self.features(pictures))
