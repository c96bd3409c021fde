"""Files that are no checkpoints, whatever is in them, are refused by name."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from s2d_edge.core.errors import CheckpointError
from s2d_edge.model.checkpoint import read_tensors


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_any_bytes_are_a_checkpoint_or_refused_by_name(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(0)  # noqa: S311 - no secrets
    path = tmp_path / f"weights{suffix}"
    torch.save({"a": torch.zeros(3)}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    contents = [
        b"",
        b"hello",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"<!DOCTYPE html><html>",
        b"PK\x03\x04",
        *(rng.randbytes(rng.randrange(1, 40)) for _ in range(200)),
        *(whole[: rng.randrange(len(whole))] for _ in range(20)),
    ]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=path.name) as refused:
            read_tensors(path)
        assert "\n" not in str(refused.value)
