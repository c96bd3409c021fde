"""The fused step: a causal S2D that predicts from one frame and the state of earlier frames.

Inputs are the frame, the age of each slot, and the rings; outputs are the logits and *only the new slot* of
each ring. Nothing of a ring's size is concatenated, transposed or returned:

- slots have no order: ``age`` alone gives when each was written;
- scores against the ring and against the frame itself are two small tensors, joined before one softmax;
- an empty or outdated slot has age T, whose bias is :data:`s2d_edge.export.fuse.UNSEEN`, so the first frames
  after a reset attend over what exists.

A ring of keys or values lies in memory in one of two ways. ``[slots, N, heads, c]`` makes a slot one block:
where the device writes a new slot in place, and where heads are narrow. ``[N, heads, slots, c]`` makes what a
patch's head attends to one small matrix, which a CPU multiplies in place instead of writing out products of a
ring's size, which grow with T. But a thousand products of matrices a few numbers wide cost more in calls than
in arithmetic.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.core.errors import ConfigError
from s2d_edge.export.fuse import UNSEEN, FusedPrompting, FusedS2D, FusedTimeAttention, standardise
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter

RingLayout = Literal["SNAC", "NASC"]  # slots, N, heads ("attention"), channels of a head

_NARROW = 8  # channels of a head below which it is narrow, by measurement (docs/measured/streaming.md)


def ring_layout(config: S2DConfig, *, in_place: bool) -> RingLayout:
    """Memory layout of a model's rings of keys and values."""
    assert config.temporal is not None
    narrow = config.bottleneck // config.temporal.heads < _NARROW
    return "SNAC" if in_place or narrow else "NASC"


class StepTimeAttention(nn.Module):
    """Attention of one frame to its ring and itself in a causal adapter, up to the last linear."""

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
        # (heads, T + 1): column a is the bias of age a, the last one that of a masked slot
        self.bias = nn.Buffer(F.pad(adapter.age_bias.detach(), (0, 1), value=UNSEEN))

    def forward(self, h: Tensor, age: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one frame.

        Args:
            h: (1, N, c) of this frame.
            age: (S,) of the slots.
            keys, values: rings, (N, heads, S, c / heads).

        Returns:
            (1, N, c), and this frame's key and value for the rings, (N, heads, 1, c / heads) each.
        """
        n, heads, slots, c = keys.shape
        q, k, v = (linear(h).reshape(n * heads, 1, c) for linear in (self.q, self.k, self.v))
        past = torch.bmm(q, keys.reshape(n * heads, slots, c).transpose(1, 2))  # (N · heads, 1, S)
        past = past.reshape(n, heads, slots) + torch.index_select(self.bias, 1, age)
        now = (k * q).sum(dim=-1).reshape(n, heads, 1) + self.bias[:, :1]
        weights = torch.softmax(torch.cat((past, now), dim=-1), dim=-1).reshape(n * heads, 1, slots + 1)
        attended = (
            torch.bmm(weights[..., :slots], values.reshape(n * heads, slots, c)) + weights[..., slots:] * v
        )
        entry = (n, heads, 1, c)
        return F.gelu(self.mix(attended.reshape(1, n, heads * c))), k.reshape(entry), v.reshape(entry)


class InPlaceStepTimeAttention(StepTimeAttention):
    """Attention on rings (S, N, heads, c / heads), whose slots a device writes as one block."""

    def __init__(self, fused: FusedTimeAttention, adapter: TemporalAdapter) -> None:
        super().__init__(fused, adapter)
        self.bias = nn.Buffer(self.bias.T[:, None].contiguous())  # (T + 1, 1, heads)

    def forward(self, h: Tensor, age: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one frame; keys and values for the rings are (1, N, heads, c / heads) each."""
        slots, n = keys.shape[:2]
        q, k, v = (linear(h).reshape(1, n, self.heads, -1) for linear in (self.q, self.k, self.v))
        past = (keys * q).sum(dim=-1) + torch.index_select(self.bias, 0, age)  # (S, N, heads)
        now = (k * q).sum(dim=-1) + self.bias[0]  # (1, N, heads)
        weights = torch.softmax(torch.cat((past, now)), dim=0).unsqueeze(-1)  # (S + 1, N, heads, 1)
        attended = (weights[:slots] * values).sum(dim=0, keepdim=True) + weights[slots:] * v
        return F.gelu(self.mix(attended.flatten(2))), k, v


class _PerHead(nn.Module):
    """Sums the channels of each head, as one product with a constant."""

    heads: Tensor

    def __init__(self, heads: int, c: int) -> None:
        super().__init__()
        self.heads = nn.Buffer(torch.eye(heads).repeat_interleave(c, dim=1))  # (heads, heads · c)

    def forward(self, x: Tensor) -> Tensor:
        """(…, heads · c) -> (…, heads)."""
        return F.linear(x, self.heads)


class _PerChannel(_PerHead):
    """Repeats each head's number for its channels, as one product with a constant."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, heads) -> (…, heads · c)."""
        return F.linear(x, self.heads.T)


class NarrowStepTimeAttention(InPlaceStepTimeAttention):
    """Attention on rings (S, N, heads, c / heads) where the host copies the slot: all heads at once."""

    def __init__(self, fused: FusedTimeAttention, adapter: TemporalAdapter) -> None:
        super().__init__(fused, adapter)
        c = self.q.out_features // self.heads
        self.per_head, self.per_channel = _PerHead(self.heads, c), _PerChannel(self.heads, c)

    def forward(self, h: Tensor, age: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one frame; keys and values for the rings are (1, N, heads, c / heads) each."""
        slots = keys.shape[0]
        q, k, v = self.q(h), self.k(h), self.v(h)  # (1, N, heads · c)
        past = self.per_head(keys.flatten(2) * q) + torch.index_select(self.bias, 0, age)  # (S, N, heads)
        now = self.per_head(k * q) + self.bias[0]
        weights = self.per_channel(torch.softmax(torch.cat((past, now)), dim=0))  # (S + 1, N, heads · c)
        attended = (weights[:slots] * values.flatten(2)).sum(dim=0, keepdim=True) + weights[slots:] * v
        return F.gelu(self.mix(attended)), k.reshape(1, *keys.shape[1:]), v.reshape(1, *keys.shape[1:])


class FusedStep(nn.Module):
    """uint8 RGB frame (1, H, W, 3) and state -> logits (1, K) and the new slot of every ring."""

    def __init__(self, model: S2D, *, in_place: bool, fused: FusedS2D | None = None) -> None:
        """Fuse a copy of ``model``; the model itself does not change.

        Args:
            in_place: the device writes the new slots; decides the layout of the rings.
            fused: an earlier fusion of ``model``, whose weights may have changed since; None fuses it now.

        Raises:
            ConfigError: the model is not causal, or has T = 1 and hence no state.
        """
        super().__init__()
        if not model.config.causal or model.config.frames < 2:
            raise ConfigError(
                "only a causal video model predicts frame by frame; train one with "
                "'s2d-edge train --stage video --temporal causal', or export --mode window"
            )
        fused = FusedS2D(model) if fused is None else copy.deepcopy(fused)
        self.config = model.config
        self.parts = fused
        attention = _ATTENTION[ring_layout(model.config, in_place=in_place), in_place]
        self.times = nn.ModuleList(
            attention(prompting.time, adapter)  # type: ignore[arg-type]
            for prompting, adapter in zip(fused.promptings, model.adapters, strict=True)
        )

    def forward(self, frame: Tensor, age: Tensor, classes: Tensor, *rings: Tensor) -> tuple[Tensor, ...]:
        """Predict from one frame.

        Args:
            frame: (1, H, W, 3) uint8 RGB.
            age: (S,) int32, sample periods since each slot was written; T masks it.
            classes: (S, D) ring of class tokens.
            rings: keys and values of each layer in turn, (N, heads, S, c / heads), or in place
                (S, N, heads, c / heads).

        Returns:
            Logits (1, K), this frame's class token (1, D), and its key and value of each layer in turn, as
            one slot of their rings.
        """
        parts = self.parts
        pictures = frame.float().permute(0, 3, 1, 2)  # (1, 3, H, W), 0-255; TensorRT moves no uint8
        hidden = parts.landmark_tokens(pictures)
        patches = parts.patch(pictures).flatten(2).transpose(1, 2)  # (1, N, D)
        x = F.pad(patches, (0, 0, 1, 0))  # zeros where the class token goes
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


_ATTENTION: dict[tuple[RingLayout, bool], type[StepTimeAttention]] = {
    ("NASC", False): StepTimeAttention,
    ("SNAC", False): NarrowStepTimeAttention,
    ("SNAC", True): InPlaceStepTimeAttention,
}
