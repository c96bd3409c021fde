"""Probe landmark networks for expressions: logistic regression on the maps that prompters are fed.

    python docs/experiments/landmark_probe.py DATA FILE_OR_FOLDER… [--split test]

DATA are labelled photographs. Of each face's luma, cropped as a device crops it, the network's map is
averaged over 2×2 cells; its leading principal components, whitened, are fitted on the split ``train``,
without augmentation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.model_config import LANDMARK_INPUT, S2DConfig, ViTConfig
from s2d_edge.core import metrics
from s2d_edge.core.console import Console
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.checkpoint import load_strictly, read_landmark
from s2d_edge.model.s2d import S2D

COMPONENTS = 200
PENALTY = 0.025  # on the squared weights, beside the mean cross-entropy
_STEPS = 200
_BATCH = 64


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data")
    arguments.add_argument("networks", type=Path, nargs="+")
    arguments.add_argument("--split", default="test")
    args = arguments.parse_args()
    console = Console()
    dataset = open_dataset(args.data, console)
    spec, crop = ClipSpec(frames=1, fps=1.0, size=LANDMARK_INPUT), CropRecipe(size=LANDMARK_INPUT)
    faces = [
        prepare(dataset.require_split(split), spec, crop, console, title=f"{split} faces")
        for split in ("train", args.split)
    ]
    truth = faces[1].labels
    print(f"| {len(truth)} faces | WAR | UAR |\n| --- | --- | --- |")
    for path in args.networks:
        learnt, unseen = (_maps(path, part) for part in faces)
        predictions = _probe(learnt, torch.from_numpy(faces[0].labels), unseen).numpy()
        counts = metrics.confusion(truth, predictions, len(dataset.labels))
        print(f"| {path} | {metrics.war(counts):.3f} | {metrics.uar(counts):.3f} |", flush=True)


def _maps(path: Path, faces: PreparedClips) -> Tensor:
    """(n, features) maps of the network of ``path``, averaged over cells, one row per face."""
    sizes, tensors = read_landmark(path)
    vit = ViTConfig(image_size=LANDMARK_INPUT, patch_size=8, width=64, depth=1, heads=1)
    model = S2D(S2DConfig(vit=vit, landmark=sizes, temporal=None, frames=1, grey=True)).eval()
    load_strictly(model.landmark, tensors, str(path))
    found = []
    with torch.inference_mode():
        for index in torch.from_numpy(faces.windows[:, 0]).split(_BATCH):
            pictures = torch.from_numpy(faces.frames[index.numpy()])  # (B, S, S, 3)
            maps = model.landmark_maps(model.normalise_pictures(pictures))  # (B, C, 14, 14)
            found.append(F.avg_pool2d(maps, 2).flatten(1))
    return torch.cat(found)


def _probe(learnt: Tensor, labels: Tensor, unseen: Tensor) -> Tensor:
    """(m,) predictions for ``unseen`` (m, features), fitted on ``learnt`` (n, features), ``labels`` (n,)."""
    mean = learnt.mean(dim=0)
    _, lengths, axes = torch.linalg.svd(learnt - mean, full_matrices=False)
    whiten = axes[:COMPONENTS].T / lengths[:COMPONENTS] * len(learnt) ** 0.5  # (features, components)
    x, y = (learnt - mean) @ whiten, (unseen - mean) @ whiten
    classes = int(labels.max()) + 1
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(x, weight, bias), labels) + PENALTY / 2 * weight.square().sum()
        value.backward()
        return float(value.detach())

    optimizer.step(loss)
    with torch.no_grad():
        return F.linear(y, weight, bias).argmax(dim=1)


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
