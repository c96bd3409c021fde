"""A masked autoencoder (MAE, He et al. 2022, arXiv 2111.06377) around S2D's ViT, to pre-train it.

A few patches of a picture pass through the encoder, which is the ViT and its class token. A small decoder
predicts the pixels of the others from them. The encoder is what an image model starts from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2d_edge.contracts.model_config import MaskedConfig, S2DConfig, ViTConfig
from s2d_edge.model.pixels import PictureModel
from s2d_edge.model.vit import VIT_EPS, Block, ViT, sine_cosine_positions

_PATCH_EPS = 1e-6  # added to a patch's variance, as in MAE's official code


class Decoder(nn.Module):
    """Visible patches and places of masked ones in, normalised pixels of every patch out (section 3)."""

    positions: Tensor

    def __init__(self, vit: ViTConfig, config: MaskedConfig) -> None:
        super().__init__()
        sizes = config.decoder(vit)
        self.embed = nn.Linear(vit.width, sizes.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=VIT_EPS)
        self.to_pixels = nn.Linear(sizes.width, 3 * vit.patch_size**2)
        nn.init.normal_(self.mask_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        positions = sine_cosine_positions(vit.grid, sizes.width).unsqueeze(0)  # (1, N, d)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, encoded: Tensor, visible: Tensor) -> Tensor:
        """(B, 1 + V, D) encoded and (B, V) places of the visible patches -> (B, N, 3·p²)."""
        x = self.embed(encoded)
        patches = self.mask_token.to(x.dtype).expand(len(x), self.positions.shape[1], -1)
        places = visible.unsqueeze(2).expand(-1, -1, x.shape[2])  # (B, V, d)
        patches = patches.scatter(1, places, x[:, 1:]) + self.positions  # (B, N, d)
        x = torch.cat((x[:, :1], patches), dim=1)
        for block in self.blocks:
            x = block(x)
        pixels: Tensor = self.to_pixels(self.norm(x[:, 1:]))
        return pixels


class MaskedAutoencoder(PictureModel):
    """The ViT of an image model as encoder, and a decoder that training throws away."""

    def __init__(self, config: S2DConfig, masked: MaskedConfig) -> None:
        super().__init__(grey=config.grey)
        self.config = config
        self.masked = masked
        self.vit = ViT(config.vit)
        self.vit.pos_embed.requires_grad_(False)  # sine-cosine, fixed while it is pre-trained (appendix A.1)
        self.decoder = Decoder(config.vit, masked)

    def encode(self, pictures: Tensor, visible: Tensor) -> Tensor:
        """(B, 3, H, W) normalised pictures -> (B, 1 + V, D): class token and visible patches alone.

        Args:
            visible: (B, V) int64 places of the patches that are seen.
        """
        patches = self.vit.patch_embed(pictures) + self.vit.pos_embed[:, 1:]  # (B, N, D)
        places = visible.unsqueeze(2).expand(-1, -1, patches.shape[2])  # (B, V, D)
        token = self.vit.cls_token + self.vit.pos_embed[:, :1]
        x = torch.cat((token.expand(len(patches), -1, -1), patches.gather(1, places)), dim=1)
        for block in self.vit.blocks:
            x = block(x)
        encoded: Tensor = self.vit.norm(x)
        return encoded

    def forward(self, pictures: Tensor, visible: Tensor) -> Tensor:
        """(B, H, W, 3) RGB in 0-255 and (B, V) visible places -> (B, N, 3·p²) predicted pixels.

        Pixels of a patch are normalised by its own mean and deviation; see :meth:`patches`.
        """
        predicted: Tensor = self.decoder(self.encode(self.normalise_pictures(pictures), visible), visible)
        return predicted

    def patches(self, pictures: Tensor) -> Tensor:
        """(B, H, W, 3) RGB in 0-255 -> (B, N, 3·p²) ImageNet-normalised pixels, patches in row order."""
        size = self.config.vit.patch_size
        x = self.normalise_pictures(pictures)
        x = x.unflatten(3, (-1, size)).unflatten(2, (-1, size))  # (B, 3, h, p, w, p)
        patches: Tensor = x.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # (B, N, p·p·3)
        return patches

    def losses(self, predicted: Tensor, pictures: Tensor, visible: Tensor) -> Tensor:
        """(B,) mean squared error of the masked patches' normalised pixels (section 3).

        Args:
            predicted: what :meth:`forward` returns.
        """
        wanted = normalised(self.patches(pictures))
        error = (predicted.float() - wanted).square().mean(dim=2)  # (B, N)
        masked = torch.ones_like(error).scatter(1, visible, 0.0)
        return (error * masked).sum(dim=1) / masked.sum(dim=1)

    def pictures_of(self, patches: Tensor) -> Tensor:
        """Inverse of :meth:`patches`: (B, N, 3·p²) -> (B, H, W, 3) float32 RGB in 0-255."""
        size, grid = self.config.vit.patch_size, self.config.vit.grid
        x = patches.unflatten(1, (grid, grid)).unflatten(3, (size, size, 3))  # (B, h, w, p, p, 3)
        x = x.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)  # (B, H, W, 3)
        restored: Tensor = x * self.pixel_std.flatten() + self.pixel_mean.flatten()
        return restored.clamp(0, 255)


def normalised(patches: Tensor) -> Tensor:
    """(B, N, P) pixels, each patch brought to mean 0 and variance 1, as the targets are (section 3)."""
    mean, variance = patches.mean(dim=2, keepdim=True), patches.var(dim=2, keepdim=True)
    return (patches - mean) / (variance + _PATCH_EPS).sqrt()


def restored(predicted: Tensor, patches: Tensor) -> Tensor:
    """Inverse of :func:`normalised` with the mean and variance of the true ``patches``, to look at."""
    mean, variance = patches.mean(dim=2, keepdim=True), patches.var(dim=2, keepdim=True)
    return predicted * (variance + _PATCH_EPS).sqrt() + mean


def draw_visible(pictures: int, patches: int, ratio: float, generator: torch.Generator) -> Tensor:
    """Draw the places of the patches that stay visible, evenly at random without replacement (section 3).

    Args:
        ratio: share of the patches that is masked; at least one is masked, and one is not.

    Returns:
        (B, V) int64.
    """
    kept = min(max(int(patches * (1 - ratio)), 1), patches - 1)
    return torch.rand(pictures, patches, generator=generator).argsort(dim=1)[:, :kept]
