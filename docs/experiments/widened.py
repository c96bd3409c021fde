"""Make an image run of a larger size with equal logits: `base` from `small`, `small` or `base` from `tiny`.

    python docs/experiments/widened.py RUN --model base --out OUT

For machines on which a large model cannot be trained from nothing. After Net2Net (arXiv 1511.05641): every
feature and head stands several times, and a layer that reads the copies has an equal share of its weight for
each, plus noise that cancels while the copies are equal. No such weight is another's copy, so they soon
differ in a training that starts here (`s2d-edge train --init OUT`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from s2d_edge.contracts.model_config import preset
from s2d_edge.core.claims import choose_output
from s2d_edge.core.errors import ConfigError, exit_with_a_sentence
from s2d_edge.model.checkpoint import load_run, load_strictly, save_run
from s2d_edge.model.s2d import S2D

TOLERANCE = 1e-3  # of logits, in FP32
NOISE = 0.5  # of the standard deviation of a layer's weights


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--model", default="base")
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    args = arguments.parse_args()
    narrow, info = load_run(args.run)
    if info.stage != "image":
        raise ConfigError(f"{args.run} is a {info.stage} run; only image runs can be widened")
    config = replace(
        narrow.config,
        vit=replace(preset(args.model).vit, image_size=narrow.config.vit.image_size),
    )
    wide = S2D(config)
    torch.manual_seed(args.seed)
    known = narrow.state_dict()
    tensors = {name: _widened(name, known[name], like) for name, like in wide.state_dict().items()}
    load_strictly(wide, tensors, f"{args.run}, widened")
    apart = _apart(narrow.eval(), wide.eval())
    if apart > TOLERANCE:
        raise ConfigError(f"{args.model} is not {args.run} at another width: logits {apart:.2g} apart")
    out = choose_output(args.out, args.out)
    save_run(out, replace(info, name=out.name, model=config, origin={"widened": info.weights_sha256}), wide)
    print(f"wrote {out}: {wide.count_parameters()}; logits of noise at most {apart:.1g} from {args.run}'s")


def _widened(name: str, narrow: Tensor, like: Tensor) -> Tensor:
    """``narrow`` repeated to the shape of ``like``; of a matrix, every copy that is read gets its share."""
    if ".qkv." in name:  # queries, keys and values are repeated each
        parts = zip(narrow.chunk(3), like.chunk(3), strict=True)
        return torch.cat([_widened("", part, part_like) for part, part_like in parts])
    copies = [wanted // had for wanted, had in zip(like.shape, narrow.shape, strict=True)]
    if narrow.ndim != 2 or copies[1] == 1:
        return narrow.repeat(copies)
    share = narrow.repeat(copies[0], 1) / copies[1]
    noise = NOISE * narrow.std() * torch.randn(copies[1], *share.shape)
    return torch.cat([share + each for each in noise - noise.mean(0)], dim=1)


@torch.inference_mode()
def _apart(one: S2D, other: S2D) -> float:
    """Largest difference of the logits of four pictures of noise."""
    side = one.config.vit.image_size
    pictures = torch.randint(256, (4, 1, side, side, 3), dtype=torch.uint8)
    return float((one(pictures) - other(pictures)).abs().max())


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
