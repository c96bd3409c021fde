"""Temporal-Modeling Adapter (TMA): attention over the frames at each patch position."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.model.vit import Attention

ADAPTER_EPS = 1e-5  # the official adapters keep PyTorch's default epsilon


class TemporalAdapter(nn.Module):
    """t = W_up·MHSA_time(GELU(W_dn x̂)); A = W′_up GELU(W′_dn LN(t)).

    The last linear starts at zero, so a fresh video model has the logits of its image model.

    A causal adapter's attention looks back only, over at most T frames, and knows their order from a learned
    bias per head and age (relative positions, as in T5, arXiv 1910.10683).
    """

    def __init__(self, width: int, bottleneck: int, heads: int, span: int | None = None) -> None:
        """Make fresh weights; ``span`` is T of a causal adapter, None makes a bidirectional one."""
        super().__init__()
        self.time_down = nn.Linear(width, bottleneck)  # W_dn
        self.time_attn = Attention(bottleneck, heads, qkv_bias=False)
        self.time_up = nn.Linear(bottleneck, width)  # W_up
        self.norm = nn.LayerNorm(width, eps=ADAPTER_EPS)
        self.mix_down = nn.Linear(width, bottleneck)  # W′_dn
        self.mix_up = nn.Linear(bottleneck, width)  # W′_up
        for linear in (self.time_down, self.time_attn.proj, self.time_up, self.mix_down):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        # Queries and keys at twice the usual size, so that heads start attending to different frames.
        nn.init.xavier_uniform_(self.time_attn.qkv.weight, gain=2.0)
        nn.init.zeros_(self.mix_up.weight)
        nn.init.zeros_(self.mix_up.bias)
        self.age_bias: nn.Parameter | None = None
        if span is not None:
            # Half the heads start with a preference for recent frames, each more than the one before.
            slopes = torch.linspace(-1, 1, heads).clamp(min=0)
            self.age_bias = nn.Parameter(-slopes[:, None] * torch.arange(span))  # (heads, T)

    @torch.no_grad()
    def start_contrast(self) -> None:
        """Start a causal adapter from differences in time, where parts that do not move cancel.

        Heads, an even number, become pairs of equal values and opposite sign. One of each pair attends to
        all ages equally, the other more to recent ones; queries and keys matter little at first.
        """
        heads, width = self.time_attn.heads, self.time_attn.proj.in_features
        steady = heads // 2  # heads that attend to all ages equally
        queries_and_keys, values = self.time_attn.qkv.weight.split((2 * width, width))
        queries_and_keys.mul_(0.1)
        of_heads = torch.unflatten(values, 0, (heads, -1))  # (heads, c / heads, c)
        of_heads[steady:] = of_heads[:steady]
        from_heads = torch.unflatten(self.time_attn.proj.weight, 1, (heads, -1))  # (c, heads, c / heads)
        from_heads[:, steady:] = -from_heads[:, :steady]

    def forward(self, tokens: Tensor, frames: int, age: Tensor | None = None) -> Tensor:
        """(B·T, N, D) normed patch tokens of clips of ``frames`` frames -> (B·T, N, D) to add.

        ``age`` is what :func:`ages_of` returns, for clips whose frames are not a period apart.
        """
        n = tokens.shape[1]
        h = F.gelu(self.time_down(tokens))  # (B·T, N, c)
        # (B·T, N, c) -> (B·N, T, c): the move to the time axis happens in the narrow bottleneck
        h = torch.unflatten(h, 0, (-1, frames)).transpose(1, 2).flatten(0, 1)
        bias = self.time_bias(frames, age)
        if age is not None and bias is not None:
            bias = bias.repeat_interleave(n, dim=0)  # (B, heads, T, T) -> (B·N, heads, T, T)
        h = self.time_attn(h, bias)
        h = torch.unflatten(h, 0, (-1, n)).transpose(1, 2).flatten(0, 1)  # back to (B·T, N, c)
        t = self.norm(self.time_up(h))
        y: Tensor = self.mix_up(F.gelu(self.mix_down(t)))
        return y

    def time_bias(self, frames: int, age: Tensor | None = None) -> Tensor | None:
        """Bias on the attention scores of F frames, (heads, F, F); None for a bidirectional adapter.

        Entry (·, i, j) is the learned bias of frame j's age i - j, and -inf where j is later than i, or T or
        more frames older. Frames have ages and no absolute times, so a stream has no end, and keys and
        values of earlier frames stay valid. With ``age``, (B, F, F), the bias is (B, heads, F, F).
        """
        if self.age_bias is None:
            return None
        span = self.age_bias.shape[1]
        if age is None:
            times = torch.arange(frames, device=self.age_bias.device)
            age = times[:, None] - times  # (F, F)
        bias = self.age_bias[:, age.clamp(0, span - 1)].masked_fill((age < 0) | (age >= span), float("-inf"))
        return bias if age.ndim == 2 else bias.transpose(0, 1)


def ages_of(numbers: Tensor) -> Tensor:
    """(B, F) float64, where frames lie on the model's grid -> (B, F, F) int64, periods from frame j to i.

    Rounded once, as a stream does on the device: two frames are never of one time.
    """
    apart = numbers[:, :, None] - numbers[:, None, :]
    return (apart.sign() * apart.abs().round().clamp(min=1)).long()
