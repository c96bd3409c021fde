"""A plain ViT in timm's layout: its weights load under timm's key names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import ViTConfig

VIT_EPS = 1e-6  # LayerNorm epsilon of timm's ViTs, and of everything S2D norms at width D


class PatchEmbed(nn.Module):
    """Cuts a picture into patches and projects each to D."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B·T, 3, H, W) normalised -> (B·T, N, D), patches in row order."""
        tokens: Tensor = self.proj(pictures)
        return tokens.flatten(2).transpose(1, 2)  # (B·T, D, h, w) -> (B·T, N, D)


class Attention(nn.Module):
    """Multi-head self-attention over the second axis."""

    def __init__(self, width: int, heads: int, *, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(A, L, D) -> (A, L, D): attends over L; ``bias`` (heads, L, L) is added to the scores."""
        # (A, L, 3·D) -> 3 of (A, heads, L, D / heads)
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        merged: Tensor = self.proj(attended.transpose(1, 2).flatten(2))  # (A, L, D)
        return merged


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=VIT_EPS)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=VIT_EPS)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = x + self.attn(self.norm1(x))
        y: Tensor = attended + self.mlp(self.norm2(attended))
        return y


class ViT(nn.Module):
    """The parts of a ViT. S2D calls them one by one, since it adds prompts between the blocks."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        patches = config.grid**2
        self.patch_embed = PatchEmbed(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=VIT_EPS)
        self._initialise(config)

    def _initialise(self, config: ViTConfig) -> None:
        """Initialise as MAE does (arXiv 2111.06377): Xavier weights, sine-cosine positions.

        The usual normal weights of deviation 0.02 suit a width of 768; in a narrow ViT they leave every block
        near the identity, and training from random weights takes several times as long.
        """
        nn.init.normal_(self.cls_token, std=0.02)
        with torch.no_grad():
            self.pos_embed[:, 1:] = sine_cosine_positions(config.grid, config.width)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.view(config.width, -1))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def add_class_token(self, patches: Tensor) -> Tensor:
        """(B·T, N, D) -> (B·T, 1 + N, D), class token first, position embedding added."""
        token = self.cls_token.expand(len(patches), -1, -1)
        x: Tensor = torch.cat((token, patches), dim=1) + self.pos_embed
        return x


def sine_cosine(places: Tensor, width: int, *, longest: float = 10000.0) -> Tensor:
    """Sines and cosines of places at geometric rates (arXiv 1706.03762): (n,) -> (n, width) float32.

    The longest wave is ``2π · longest`` places; an odd channel left over stays zero.
    """
    half = width // 2
    angles = places[:, None] * longest ** -(torch.arange(half) / half)
    waves = torch.zeros(len(places), width)
    waves[:, : 2 * half] = torch.cat((angles.sin(), angles.cos()), dim=1)
    return waves


def sine_cosine_positions(grid: int, width: int) -> Tensor:
    """2-D positions, one half of the channels for each axis: (grid², width) float32."""
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    halves = (width // 2, width - width // 2)
    axes = (columns.flatten(), rows.flatten())
    return torch.cat([sine_cosine(axis, part) for axis, part in zip(axes, halves, strict=True)], dim=1)
