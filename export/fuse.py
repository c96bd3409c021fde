"""The fused S2D: the same answers as :class:`s2d_edge.model.s2d.S2D`, arranged for inference.

What is different, each step exact in real arithmetic:

- pixels go in as uint8 RGB; ImageNet normalisation is folded into the patch projection;
- every LayerNorm affine is folded into the linear that reads it, and linears that read one norm are stacked;
- in the temporal adapter the attention's output projection and the up-projection are one linear, and the norm
  after it is taken in the bottleneck's own dimensions (:func:`export.algebra.linear_norm_linear`), so nothing
  of width D is made between the adapter's first and last linear; the prompts' norms likewise, so a prompt is
  carried from block to block as its 8 hidden values;
- the class token stays in the sequence and is masked out of prompts and adapters, instead of being cut off
  and glued back around each block;
- the last block computes queries, projection and MLP for the class token alone, the only one the head reads.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.algebra import (
    LinearNormLinear,
    fold_batch_norms,
    linear_norm_linear,
    linear_then_linear,
    norm_then_linear,
    split_linear,
)
from s2d_edge.model.config import LANDMARK_GRID
from s2d_edge.model.prompter import Prompter
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter
from s2d_edge.model.vit import Block


def _standardise(x: Tensor, eps: float) -> Tensor:
    """LayerNorm over the last axis without affine."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


class FusedTimeAttention(nn.Module):
    """A temporal adapter from after its first GELU to before its last linear."""

    def __init__(self, adapter: TemporalAdapter, frames: int) -> None:
        super().__init__()
        attention = adapter.time_attn
        self.frames = frames
        self.heads = attention.heads
        self.qkv = copy.deepcopy(attention.qkv)
        merged = linear_then_linear(attention.proj, adapter.time_up)
        self.mix: LinearNormLinear = linear_norm_linear(merged, adapter.norm, adapter.mix_down)

    def forward(self, h: Tensor) -> Tensor:
        """(T, N, c) -> (T, N, c): one clip; each token attends over the T frames at its place."""
        n, c = h.shape[1:]
        # (T, N, 3·c) -> 3 of (N, heads, T, c / heads): one transpose moves to heads and to time at once
        qkv = self.qkv(h).reshape(self.frames, n, 3, self.heads, c // self.heads).permute(2, 1, 3, 0, 4)
        q, k, v = qkv.unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v)
        attended = attended.permute(2, 0, 1, 3).reshape(self.frames, n, c)
        return F.gelu(self.mix(attended))


class FusedPrompter(nn.Module):
    """A prompter on its hidden values: the prompt itself, of width D, is only ever added to the tokens."""

    def __init__(self, prompter: Prompter, previous: nn.Linear, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.carry = linear_norm_linear(previous, norm, prompter.from_prompt)
        self.smooth = nn.Parameter(prompter.smooth.detach().clone())

    def forward(self, view: Tensor, hidden: Tensor) -> Tensor:
        """View of the tokens (T, N, 8), previous prompt as what ``previous`` read -> (T, N, 8)."""
        y: Tensor = view * torch.softmax(self.smooth * view, dim=1) + self.carry(hidden)
        return y


class FusedPrompting(nn.Module):
    """What is added to the tokens before ViT block number ``index``: prompter and temporal adapter."""

    def __init__(self, model: S2D, index: int) -> None:
        super().__init__()
        prompter: Prompter = model.prompters[index]  # type: ignore[assignment]
        norm: nn.LayerNorm = model.prompt_norms[max(index - 1, 0)]  # type: ignore[assignment]
        first_norm: nn.LayerNorm = model.prompt_norms[0]  # type: ignore[assignment]
        before = model.prompt_embed if index == 0 else model.prompters[index - 1].to_prompt
        assert isinstance(before, nn.Linear)
        self.eps = norm.eps
        self.prompt_width = model.config.prompt_width
        self.prompter = FusedPrompter(prompter, before, first_norm)
        self.to_prompt = copy.deepcopy(prompter.to_prompt)
        self.time: FusedTimeAttention | None = None
        if model.adapters:
            adapter: TemporalAdapter = model.adapters[index]  # type: ignore[assignment]
            self.look = norm_then_linear(norm, adapter.time_down, prompter.from_tokens)
            self.time = FusedTimeAttention(adapter, model.config.frames)
            self.mix_up = copy.deepcopy(adapter.mix_up)
        else:
            self.look = norm_then_linear(norm, prompter.from_tokens)

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (T, 1 + N, D) whose first is the class token, previous prompt -> what to add, next prompt.

        The sum is (T, 1 + N, D); its first row is to be masked out by the caller.
        """
        look = self.look(_standardise(x, self.eps))  # (T, 1 + N, [c +] 8)
        hidden = self.prompter(look[:, 1:, -self.prompt_width :], hidden)
        added = self.to_prompt(F.pad(hidden, (0, 0, 1, 0)))
        if self.time is not None:
            added = added + self.mix_up(self.time(F.gelu(look[..., : -self.prompt_width])))
        return added, hidden


class FusedBlock(nn.Module):
    """A ViT block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.eps = block.norm1.eps
        self.heads = block.attn.heads
        self.qkv = norm_then_linear(block.norm1, block.attn.qkv)
        self.proj = copy.deepcopy(block.attn.proj)
        self.fc1 = norm_then_linear(block.norm2, block.mlp.fc1)
        self.fc2 = copy.deepcopy(block.mlp.fc2)

    def heads_of(self, x: Tensor) -> tuple[Tensor, ...]:
        """(T, L, k·D) -> k of (T, heads, L, D / heads)."""
        t, length, _ = x.shape
        head_width = self.proj.in_features // self.heads
        return x.reshape(t, length, -1, self.heads, head_width).permute(2, 0, 3, 1, 4).unbind(0)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residuals and MLP on tokens (T, L, D) and what they attended to (T, heads, L, D / heads)."""
        x = x + self.proj(attended.transpose(1, 2).reshape(x.shape))
        y: Tensor = x + self.fc2(F.gelu(self.fc1(_standardise(x, self.eps))))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(T, L, D) -> (T, L, D)."""
        q, k, v = self.heads_of(self.qkv(_standardise(x, self.eps)))
        return self.finish(x, F.scaled_dot_product_attention(q, k, v))


class FusedClassBlock(FusedBlock):
    """The last ViT block: only the class token is answered, since only it is read."""

    def __init__(self, block: Block) -> None:
        super().__init__(block)
        width = self.proj.in_features
        self.q, self.kv = split_linear(self.qkv, width)
        del self.qkv

    def forward(self, x: Tensor) -> Tensor:
        """(T, L, D) -> (T, 1, D)."""
        normed = _standardise(x, self.eps)
        (q,) = self.heads_of(self.q(normed[:, :1]))
        k, v = self.heads_of(self.kv(normed))
        return self.finish(x[:, :1], F.scaled_dot_product_attention(q, k, v))


class FusedS2D(nn.Module):
    """uint8 RGB clip (1, T, H, W, 3) -> logits (1, K); static shapes, one clip."""

    mask: Tensor
    start: Tensor

    def __init__(self, model: S2D) -> None:
        """Fuse a copy of ``model``; the model itself is left as it is."""
        super().__init__()
        model = copy.deepcopy(model).cpu().float().eval()
        config = model.config
        self.frames, self.grid = config.frames, config.vit.grid
        self.pixel_mean = nn.Buffer(model.pixel_mean.clone())
        self.pixel_std = nn.Buffer(model.pixel_std.clone())
        self.patch = self._fold_normalisation(model)
        self.landmark = model.landmark
        fold_batch_norms(self.landmark)
        blocks: list[Block] = list(model.vit.blocks)  # type: ignore[arg-type]
        self.promptings = nn.ModuleList(FusedPrompting(model, i) for i in range(len(blocks)))
        self.blocks = nn.ModuleList([*map(FusedBlock, blocks[:-1]), FusedClassBlock(blocks[-1])])
        self.head = norm_then_linear(model.vit.norm, model.head)
        self.head_eps = model.vit.norm.eps
        # 0 for the class token, 1 for patches
        self.mask = nn.Buffer(torch.ones(1, 1 + self.grid**2, 1))
        self.mask[:, 0] = 0
        self.start = nn.Buffer(self._start(model))

    @staticmethod
    def _fold_normalisation(model: S2D) -> nn.Conv2d:
        """Patch projection of raw pixels: W((p - mean) / std) + b = (W / std)p + (b - ΣW·mean / std)."""
        conv = copy.deepcopy(model.vit.patch_embed.proj).double()
        mean, std = model.pixel_mean.double(), model.pixel_std.double()
        with torch.no_grad():
            conv.weight.div_(std)
            assert conv.bias is not None
            conv.bias.sub_((conv.weight * mean).sum(dim=(1, 2, 3)))
        return conv.float()

    @staticmethod
    def _start(model: S2D) -> Tensor:
        """Class token, positions and times, to be added to the patches: (T, 1 + N, D) or (1, 1 + N, D)."""
        start = model.vit.pos_embed.detach().clone()
        start[:, :1] += model.vit.cls_token.detach()
        if model.adapters:
            start = start + model.temporal_embedding.detach()[0]  # (T, 1, D)
        return start

    def landmark_tokens(self, pictures: Tensor) -> Tensor:
        """(T, 3, H, W) in 0-255 -> (T, N, channels): the landmark network's map, one vector per patch."""
        small = (self.landmark.resize(pictures) - self.pixel_mean) / self.pixel_std
        features = self.landmark.features(small)
        if self.grid != LANDMARK_GRID:
            features = F.interpolate(features, (self.grid, self.grid), mode="bilinear", align_corners=False)
        return features.flatten(2).transpose(1, 2)

    def forward(self, clip: Tensor) -> Tensor:
        pictures = clip[0].permute(0, 3, 1, 2).float()  # (T, 3, H, W), 0-255
        hidden = self.landmark_tokens(pictures)
        patches = self.patch(pictures).flatten(2).transpose(1, 2)  # (T, N, D)
        x = F.pad(patches, (0, 0, 1, 0))  # room for the class token
        for i, (prompting, block) in enumerate(zip(self.promptings, self.blocks, strict=True)):
            added, hidden = prompting(x, hidden)
            x = x + self.mask * added
            if i == 0:
                x = x + self.start
            x = block(x)
        cls = _standardise(x[:, 0], self.head_eps).mean(dim=0, keepdim=True)  # (1, D)
        logits: Tensor = self.head(cls)
        return logits
