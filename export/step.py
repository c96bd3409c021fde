"""The fused step: a causal S2D that answers one frame from what it kept of the frames before.

Inputs are the frame, how old each slot of the rings is, and the rings; outputs are the logits and *only the
new slot* of each ring. Nothing of a ring's size is concatenated, transposed or returned:

- a ring of keys or values is ``[slots, N, heads, c]``, so a frame's slot is one contiguous block; the order
  of the slots means nothing: ``age`` alone says when each was written;
- scores against the ring and against the frame itself are two small tensors, joined before one softmax;
- an empty or outdated slot has age T, whose bias is :data:`export.fuse.UNSEEN`, so the first frames after a
  reset attend over what exists.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.fuse import UNSEEN, FusedPrompting, FusedS2D, FusedTimeAttention, standardise
from s2d_edge.errors import ConfigError
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter


class StepTimeAttention(nn.Module):
    """A causal adapter's attention of one frame to its ring and itself, up to its last linear."""

    bias: Tensor

    def __init__(self, fused: FusedTimeAttention, adapter: TemporalAdapter) -> None:
        super().__init__()
        assert adapter.age_bias is not None
        attention = copy.deepcopy(fused.attention)
        self.q, self.k, self.v, self.heads = attention.q, attention.k, attention.v, attention.heads
        scale = (self.q.out_features // self.heads) ** -0.5  # folded into the queries
        with torch.no_grad():
            self.q.weight.mul_(scale)
            self.q.bias.mul_(scale)
        self.mix = fused.mix
        # (T + 1, 1, heads): row a is the bias of age a, the last one that of a slot not to be seen
        table = F.pad(adapter.age_bias.detach(), (0, 1), value=UNSEEN)
        self.bias = nn.Buffer(table.T[:, None].contiguous())

    def forward(self, h: Tensor, age: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, N, c) of this frame, age (S,), rings (S, N, heads, c / heads) -> (1, N, c), and what to keep.

        That is its key and value, (1, N, heads, c / heads) each.
        """
        slots, n = keys.shape[:2]
        q, k, v = (linear(h).reshape(1, n, self.heads, -1) for linear in (self.q, self.k, self.v))
        past = (keys * q).sum(dim=-1) + torch.index_select(self.bias, 0, age)  # (S, N, heads)
        now = (k * q).sum(dim=-1) + self.bias[0]  # (1, N, heads)
        weights = torch.softmax(torch.cat((past, now)), dim=0).unsqueeze(-1)  # (S + 1, N, heads, 1)
        attended = (weights[:slots] * values).sum(dim=0, keepdim=True) + weights[slots:] * v
        return F.gelu(self.mix(attended.flatten(2))), k, v


class FusedStep(nn.Module):
    """uint8 RGB frame (1, H, W, 3) and state -> logits (1, K) and the new slot of every ring."""

    def __init__(self, model: S2D) -> None:
        """Fuse a copy of ``model``; the model itself is left as it is.

        Raises:
            ConfigError: the model is not causal, or has no past to keep.
        """
        super().__init__()
        if not model.config.causal or model.config.frames < 2:
            raise ConfigError(
                "only a causal video model answers frame by frame; train one with "
                "'s2d-edge train --stage video --temporal causal', or export --mode window"
            )
        fused = FusedS2D(model)
        self.config = model.config
        self.parts = fused
        self.times = nn.ModuleList(
            StepTimeAttention(prompting.time, adapter)  # type: ignore[arg-type]
            for prompting, adapter in zip(fused.promptings, model.adapters, strict=True)
        )

    def forward(self, frame: Tensor, age: Tensor, classes: Tensor, *rings: Tensor) -> tuple[Tensor, ...]:
        """Answer one frame.

        Args:
            frame: (1, H, W, 3) uint8 RGB.
            age: (S,) int32, sample periods since each slot was written; T for one not to be seen.
            classes: (S, D) ring of class tokens.
            rings: keys and values of each layer in turn, (S, N, heads, c / heads).

        Returns:
            Logits (1, K), this frame's class token (1, D), and its key and value of each layer in turn,
            (1, N, heads, c / heads).
        """
        parts = self.parts
        pictures = frame.permute(0, 3, 1, 2).float()  # (1, 3, H, W), 0-255
        hidden = parts.landmark_tokens(pictures)
        patches = parts.patch(pictures).flatten(2).transpose(1, 2)  # (1, N, D)
        x = F.pad(patches, (0, 0, 1, 0))  # room for the class token
        new: list[Tensor] = []
        promptings: list[FusedPrompting] = list(parts.promptings)  # type: ignore[arg-type]
        for i, (prompting, time, block) in enumerate(zip(promptings, self.times, parts.blocks, strict=True)):
            narrow, view = prompting.views(x[:, 1:])  # (1, N, c), (1, N, 8)
            hidden = prompting.prompter(view, hidden)
            attended, key, value = time(F.gelu(narrow), age, *rings[2 * i : 2 * i + 2])
            added = prompting.to_prompt(hidden) + prompting.mix_up(attended)  # (1, N, D)
            new += (key, value)
            x = x + F.pad(added, (0, 0, 1, 0))
            if i == 0:
                x = x + parts.start
            x = block(x)
        cls = standardise(x[:, 0], parts.head_eps)  # (1, D)
        seen = (age < self.config.frames).float().unsqueeze(1)  # (S, 1)
        mean = ((classes * seen).sum(dim=0, keepdim=True) + cls) / (seen.sum() + 1)
        return parts.head(mean), cls, *new
