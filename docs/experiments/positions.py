"""Train causal models with three encodings of time under equal conditions, and evaluate them.

    python docs/experiments/positions.py OUT bias rotary cyclic --init 'runs/both{seed}-video' --seeds 0 1 2

``bias`` is what the product has: a learned bias per head and age. ``rotary`` turns queries and keys in the
adapter's bottleneck by the frame's time (arXiv 2104.09864). ``cyclic`` adds a sine-cosine embedding of
period 2·T to every frame's tokens, at a random phase. Each fine-tunes the same bidirectional run with that
run as the teacher; runs that exist are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge import evaluate
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.model import s2d
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter
from s2d_edge.model.vit import Attention
from s2d_edge.train.command import train

AMPLITUDE = 5.0  # of the embedded times, as the recipe `demo` starts a bidirectional model's


class AgelessAdapter(TemporalAdapter):
    """A causal adapter whose ages only mask the future."""

    def __init__(self, width: int, bottleneck: int, heads: int, span: int | None = None) -> None:
        super().__init__(width, bottleneck, heads, span)
        if self.age_bias is not None:
            self.age_bias.data.zero_()
            self.age_bias.requires_grad_(False)


class RotaryAdapter(AgelessAdapter):
    """An ageless causal adapter with rotary positions in the bottleneck."""

    def __init__(self, width: int, bottleneck: int, heads: int, span: int | None = None) -> None:
        super().__init__(width, bottleneck, heads, span)
        if span is not None:
            self.time_attn.__class__ = RotaryAttention


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place."""

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(_turned(q), _turned(k), v, attn_mask=bias)
        merged: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return merged


def _turned(x: Tensor) -> Tensor:
    """(A, heads, L, c): channel i and i + c/2 turned by L / 100^(2i / c)."""
    length, half = x.shape[-2], x.shape[-1] // 2
    angle = torch.arange(length)[:, None] * 100.0 ** (-torch.arange(half) / half)  # (L, c / 2)
    one, other = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((one * cos - other * sin, one * sin + other * cos), dim=-1)


def _cyclic_embed(model: S2D, patches: Tensor) -> Tensor:
    """Stands in for ``S2D._embed``: (F, N, D) patches of whole clips -> (F, 1 + N, D), times added."""
    if not model.config.causal:  # the teacher
        return USUAL_EMBED(model, patches)
    x: Tensor = model.vit.add_class_token(patches)
    times = _cycle(2 * model.config.frames, model.config.vit.width)  # (2·T, D)
    x = torch.unflatten(x, 0, (-1, model.config.frames))
    clips, frames = x.shape[:2]
    phase = torch.randint(len(times), (clips, 1))  # when scored, too: no phase is the right one
    return (x + times[(torch.arange(frames) + phase) % len(times), None]).flatten(0, 1)


def _cycle(period: int, width: int) -> Tensor:
    """(period, D): sines and cosines of every whole frequency up to half the period, repeated over D."""
    frequency = torch.arange(1, period // 2 + 1).repeat(width // period + 1)[: width // 2]
    angle = torch.arange(period)[:, None] * frequency * (2 * torch.pi / period)
    return AMPLITUDE * torch.cat((angle.sin(), angle.cos()), dim=1)


SCHEMES = {"bias": TemporalAdapter, "rotary": RotaryAdapter, "cyclic": AgelessAdapter}
USUAL_EMBED = S2D._embed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=Path)
    arguments.add_argument("schemes", nargs="+", choices=SCHEMES)
    arguments.add_argument("--init", required=True, help="the bidirectional run, with {seed} in its name")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments.add_argument("--data")
    arguments.add_argument("--set", dest="changes", action="append", default=[])
    args = arguments.parse_args()
    print("| scheme |", *(f"seed {seed} |" for seed in args.seeds), "mean |")
    print("| --- |" + " --- |" * (len(args.seeds) + 1))
    for scheme in args.schemes:
        embed = _cyclic_embed if scheme == "cyclic" else USUAL_EMBED
        with patch.object(s2d, "TemporalAdapter", SCHEMES[scheme]), patch.object(S2D, "_embed", embed):
            wars = [_war(args, scheme, seed) for seed in args.seeds]
        print(
            f"| {scheme} |", *(f"{war:.3f} |" for war in wars), f"{sum(wars) / len(wars):.3f} |", flush=True
        )


def _war(args: argparse.Namespace, scheme: str, seed: int) -> float:
    run = args.out / f"{scheme}{seed}"
    init = Path(args.init.format(seed=seed))
    if not run.is_dir():
        train(
            stage="video",
            temporal="causal",
            data=args.data,
            init=init,
            teacher=[init],
            seed=seed,
            changes=("video.distill_views=0", *args.changes),  # as it was measured
            out=run,
            console=Console(),
        )
    torch.manual_seed(seed)
    scored = evaluate(run, data=args.data, device="cpu", seed=seed)
    return float(scored["war"])


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
