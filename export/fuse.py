"""The fused S2D: the logits of :class:`s2d_edge.model.s2d.S2D`, arranged for inference.

The differences, each exact in real arithmetic:

- pixels go in as uint8 RGB; ImageNet normalisation is folded into the patch projection;
- every LayerNorm affine is folded into the linear that reads it; the adapter's and the prompter's first
  linears, which read one norm, are stacked, and queries, keys and values are a linear each, so that no
  attention starts with a transpose and a split;
- in the temporal adapter the attention's output projection and the up-projection are one linear, and the norm
  after it is taken in the bottleneck's own dimensions (``linear_norm_linear`` in ``algebra.py``), so nothing
  of width D is made between the adapter's first and last linear; the prompts' norms likewise, so a prompt is
  carried from block to block as its 8 hidden values;
- the class token stays in the sequence and is masked out of prompts and adapters, instead of being sliced off
  and concatenated around each block;
- the last block computes queries, projection and MLP for the class token alone, the only one the head reads.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import LANDMARK_GRID
from s2d_edge.export.algebra import (
    LinearNormLinear,
    fold_batch_norms,
    linear_norm_linear,
    linear_then_linear,
    norm_then_linear,
    split_linear,
)
from s2d_edge.model.s2d import S2D, Prompter
from s2d_edge.model.temporal import TemporalAdapter
from s2d_edge.model.vit import Block

# Replaces -inf in a score: beside any real score its exponential is 0 in FP32 and FP16.
UNSEEN = -3e4


def standardise(x: Tensor, eps: float) -> Tensor:
    """LayerNorm over the last axis without affine."""
    return F.layer_norm(x, x.shape[-1:], eps=eps)


class FusedAttention(nn.Module):
    """Multi-head attention up to, not including, its output projection.

    Queries, keys and values come from a linear each: the heads are then a view of what the linear wrote, and
    OpenVINO's attention kernel reads and writes them in place. One stacked linear would have to be transposed
    and split first, three more passes over memory than the arithmetic needs.
    """

    def __init__(self, qkv: nn.Linear, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, keys_values = split_linear(qkv, qkv.in_features)
        self.k, self.v = split_linear(keys_values, qkv.in_features)

    def forward(self, x: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens (B, L, D) that attend to tokens (B, S, D) -> (B, L, D); ``bias`` is added to the scores."""
        q, k, v = (self._heads_of(each) for each in (self.q(x), self.k(context), self.v(context)))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return attended.transpose(1, 2).flatten(2)

    def _heads_of(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, heads, L, D / heads)."""
        b, length, width = x.shape
        return x.reshape(b, length, self.heads, width // self.heads).transpose(1, 2)


class FusedTimeAttention(nn.Module):
    """Temporal adapter from after its first GELU to before its last linear.

    A causal one keeps its bias of ``frames`` frames as a constant, with a large finite number for -inf: after
    softmax either is 0, and FP16 and INT8 ranges take no infinities.
    """

    bias: Tensor | None

    def __init__(self, adapter: TemporalAdapter, frames: int) -> None:
        super().__init__()
        bias = adapter.time_bias(frames)
        self.bias = None if bias is None else nn.Buffer(bias.detach().clamp(min=UNSEEN))
        attention = adapter.time_attn
        self.attention = FusedAttention(attention.qkv, attention.heads)
        merged = linear_then_linear(attention.proj, adapter.time_up)
        self.mix: LinearNormLinear = linear_norm_linear(merged, adapter.norm, adapter.mix_down)

    def forward(self, h: Tensor) -> Tensor:
        """(T, N, c) -> (T, N, c): one clip; each token attends over the T frames at its position."""
        h = h.transpose(0, 1)  # (N, T, c): the only copies over to the time axis, at the bottleneck's width
        return F.gelu(self.mix(self.attention(h, h, self.bias))).transpose(0, 1)


class FusedPrompter(nn.Module):
    """Prompter on its hidden values; the prompt itself, of width D, is only added to the tokens."""

    def __init__(self, prompter: Prompter, previous: nn.Linear, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.carry = linear_norm_linear(previous, norm, prompter.from_prompt)
        self.smooth = nn.Parameter(prompter.smooth.detach().clone())

    def forward(self, view: Tensor, hidden: Tensor) -> Tensor:
        """View of the tokens (T, N, 8) and the input of ``previous`` -> hidden values (T, N, 8)."""
        y: Tensor = view * torch.softmax(self.smooth * view, dim=1) + self.carry(hidden)
        return y


class FusedPrompting(nn.Module):
    """Prompter and temporal adapter before ViT block number ``index``; their sum is added to the tokens."""

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

    def views(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (…, D) -> inputs of the adapter (…, c) and of the prompter (…, 8)."""
        look = self.look(standardise(x, self.eps))
        return look[..., : -self.prompt_width], look[..., -self.prompt_width :]

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (T, 1 + N, D) whose first is the class token, previous prompt -> their sum, next prompt.

        The sum is (T, 1 + N, D); its first row is to be masked out by the caller.
        """
        narrow, view = self.views(x)
        hidden = self.prompter(view[:, 1:], hidden)
        added = self.to_prompt(F.pad(hidden, (0, 0, 1, 0)))
        if self.time is not None:
            added = added + self.mix_up(self.time(F.gelu(narrow)))
        return added, hidden


class FusedBlock(nn.Module):
    """A ViT block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.eps = block.norm1.eps
        self.attention = FusedAttention(norm_then_linear(block.norm1, block.attn.qkv), block.attn.heads)
        self.proj = copy.deepcopy(block.attn.proj)
        self.fc1 = norm_then_linear(block.norm2, block.mlp.fc1)
        self.fc2 = copy.deepcopy(block.mlp.fc2)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Residuals and MLP on tokens and what they attended to, both (T, L, D)."""
        x = x + self.proj(attended)
        y: Tensor = x + self.fc2(F.gelu(self.fc1(standardise(x, self.eps))))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """(T, L, D) -> (T, L, D)."""
        normed = standardise(x, self.eps)
        return self.finish(x, self.attention(normed, normed))


class FusedClassBlock(FusedBlock):
    """The last ViT block, computed for the class token alone: the head reads no other."""

    def forward(self, x: Tensor) -> Tensor:
        """(T, L, D) -> (T, 1, D)."""
        normed = standardise(x, self.eps)
        return self.finish(x[:, :1], self.attention(normed[:, :1], normed))


class FusedS2D(nn.Module):
    """uint8 RGB clip (1, T, H, W, 3) -> logits (1, K); static shapes, one clip."""

    mask: Tensor
    start: Tensor

    def __init__(self, model: S2D) -> None:
        """Fuse a copy of ``model``; the model itself does not change."""
        super().__init__()
        model = copy.deepcopy(model).cpu().float().eval()
        config = model.config
        self.frames, self.grid = config.frames, config.vit.grid
        self.pixel_mean = nn.Buffer(model.pixel_mean.clone())
        self.pixel_std = nn.Buffer(model.pixel_std.clone())
        self.luma = nn.Buffer(model.colours[0].view(3, 1, 1).clone()) if config.grey else None
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
        """Patch projection of raw pixels: W((Cp - mean) / std) + b = (W / std)Cp + (b - ΣW·mean / std).

        C mixes the colours; it is the identity unless the model uses luma alone.
        """
        conv = copy.deepcopy(model.vit.patch_embed.proj).double()
        mean, std = model.pixel_mean.double(), model.pixel_std.double()
        with torch.no_grad():
            conv.weight.div_(std)
            assert conv.bias is not None
            conv.bias.sub_((conv.weight * mean).sum(dim=(1, 2, 3)))
            conv.weight.copy_(torch.einsum("ochw,ck->okhw", conv.weight, model.colours.double()))
        return conv.float()

    @staticmethod
    def _start(model: S2D) -> Tensor:
        """Class token, positions and times, to be added to the patches: (T, 1 + N, D) or (1, 1 + N, D)."""
        start = model.vit.pos_embed.detach().clone()
        start[:, :1] += model.vit.cls_token.detach()
        if model.temporal_embedding is not None:
            start = start + model.temporal_embedding.detach()[0]  # (T, 1, D)
        return start

    def landmark_tokens(self, pictures: Tensor) -> Tensor:
        """(T, 3, H, W) in 0-255 -> (T, N, channels): the landmark network's map, one vector per patch."""
        small = self.landmark.resize(pictures)
        if self.luma is not None:
            small = (small * self.luma).sum(dim=1, keepdim=True)  # (T, 1, 112, 112) for all colours
        small = (small - self.pixel_mean) / self.pixel_std
        features = self.landmark.features(small)
        if self.grid != LANDMARK_GRID:
            features = F.interpolate(features, (self.grid, self.grid), mode="bilinear", align_corners=False)
        return features.flatten(2).transpose(1, 2)

    def forward(self, clip: Tensor) -> Tensor:
        pictures = clip.float()[0].permute(0, 3, 1, 2)  # (T, 3, H, W), 0-255; TensorRT moves no uint8
        hidden = self.landmark_tokens(pictures)
        patches = self.patch(pictures).flatten(2).transpose(1, 2)  # (T, N, D)
        x = F.pad(patches, (0, 0, 1, 0))  # zeros where the class token goes
        for i, (prompting, block) in enumerate(zip(self.promptings, self.blocks, strict=True)):
            added, hidden = prompting(x, hidden)
            x = x + self.mask * added
            if i == 0:
                x = x + self.start
            x = block(x)
        cls = standardise(x[:, 0], self.head_eps).mean(dim=0, keepdim=True)  # (1, D)
        logits: Tensor = self.head(cls)
        return logits
