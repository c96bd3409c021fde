"""Weights on disk: written as safetensors; foreign files are read without running code in them."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from s2d_edge.contracts.model_config import LandmarkConfig
from s2d_edge.contracts.runs import RUN_FILE, WEIGHTS, RunInfo, read_run, run_text, verify_weights
from s2d_edge.core.errors import CheckpointError
from s2d_edge.core.files import sha256_of, whole_file
from s2d_edge.model.foreign import harmless_beside_weights, why_not_loaded
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.s2d import S2D

LANDMARK_FILE = "landmark.safetensors"  # in a folder written by 's2d-edge train --stage landmark'

Tensors = dict[str, Tensor]

# Where published checkpoints keep their weights.
_WRAPPERS = ("model", "model_state_dict", "state_dict", "module")
_LAYERS_AROUND = re.compile(r"^((module|_orig_mod)\.)+")  # what DistributedDataParallel and torch.compile add


def read_tensors(path: Path) -> Tensors:
    """Read a ``.safetensors`` file, or a PyTorch file with ``weights_only=True``.

    The weights may be at the top or under ``model``, ``model_state_dict``, ``state_dict`` or ``module``; a
    ``module.`` or ``_orig_mod.`` prefix is removed. An argparse ``Namespace``, NumPy scalars and paths beside
    them are accepted, no other object is.

    Raises:
        CheckpointError: missing, truncated or not a checkpoint; objects other than tensors inside.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}; check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with harmless_beside_weights():
            content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); copy or download it again"
        ) from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is not loaded: {why_not_loaded(error)}; save its weights alone, as "
            "torch.save(model.state_dict(), FILE) does"
        ) from None
    except OSError:
        raise
    except Exception as error:  # PyTorch's reader and unpickler raise almost anything on other bytes
        raise CheckpointError(
            f"{path} is not a whole PyTorch checkpoint ({why_not_loaded(error)}); copy or download it again"
        ) from None
    return _unwrap(content, path)


def _unwrap(content: object, path: Path) -> Tensors:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise CheckpointError(
            f"{path} holds no weights: looked for tensors at its top and under {', '.join(_WRAPPERS)}"
        )
    return {_LAYERS_AROUND.sub("", name): value for name, value in tensors.items()}


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load ``tensors`` into ``module``; every key must be present, known, of the right shape and finite.

    Raises:
        CheckpointError: naming each missing, unexpected or misshapen key.
    """
    wanted = {k: v for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    problems = [f"missing {name}" for name in sorted(wanted.keys() - given.keys())]
    problems += [f"unexpected {name}" for name in sorted(given.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & given.keys()):
        if wanted[name].shape != given[name].shape:
            problems.append(
                f"{name} is {tuple(given[name].shape)}, the model wants {tuple(wanted[name].shape)}"
            )
        elif not torch.isfinite(given[name]).all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        raise CheckpointError(f"{source} does not fit the model: {'; '.join(problems)}")
    module.load_state_dict(given, strict=False)


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all weights as safetensors, a landmark network included, whole or not at all."""
    with whole_file(path) as scratch:
        write_tensors(model.state_dict(), scratch)


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as a safetensors file.

    Raises:
        OSError: the disk refuses, for instance because it is full.
    """
    try:
        save_file(_on_cpu(tensors), path)
    except SafetensorError as error:  # which tells what the system said in its text only
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
        raise


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the file that :func:`write_tensors` would write."""
    return hashlib.sha256(save(_on_cpu(tensors))).hexdigest()


def _on_cpu(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def save_run(path: Path, info: RunInfo, model: nn.Module) -> None:
    """Write the weights and ``run.json`` of a finished model into the run folder ``path``.

    Both are written before either takes its name: a disk that fills leaves those that were there.
    """
    path.mkdir(parents=True, exist_ok=True)
    with whole_file(path / RUN_FILE) as record, whole_file(path / WEIGHTS) as weights:
        write_tensors(model.state_dict(), weights)
        info = replace(info, weights_sha256=sha256_of(weights))
        record.write_text(run_text(info), encoding="utf-8")


def load_run(path: Path) -> tuple[S2D, RunInfo]:
    """Load the model of a run folder, in evaluation mode, with its record.

    Raises:
        CheckpointError: no run, no weights, weights altered or not of the described model.
    """
    info = read_run(path)
    verify_weights(path, info)
    model = S2D(info.model)
    weights = path / WEIGHTS
    load_strictly(model, read_tensors(weights), str(weights))
    return model.eval(), info


def read_landmark(path: Path) -> tuple[LandmarkConfig, Tensors]:
    """Read a MobileFaceNet landmark file, batch norms folded or not.

    Args:
        path: the file, or a folder written by ``train --stage landmark``.

    Returns:
        The sizes, which the tensors' shapes give, and the tensors.

    Raises:
        CheckpointError: what :func:`read_tensors` raises, or keys or shapes that are not a MobileFaceNet's.
    """
    path = path / LANDMARK_FILE if path.is_dir() else path
    tensors = read_tensors(path)
    try:
        width = tensors["conv1.conv.weight"].shape[0]
        points = tensors["output_layer.linear.weight"].shape[0] // 2
    except KeyError as error:
        raise CheckpointError(f"{path} is not a MobileFaceNet landmark file: it has no {error}") from None

    def depth(stage: str) -> int:
        blocks = {name.split(".")[2] for name in tensors if name.startswith(f"{stage}.model.")}
        return len(blocks)

    config = LandmarkConfig(
        width=width, depths=(depth("conv_3"), depth("conv_4"), depth("conv_5")), points=points
    )
    load_strictly(MobileFaceNet(config), tensors, str(path))
    return config, tensors
