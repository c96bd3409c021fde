"""A picture of what a masked autoencoder makes of masked faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.model.mae import MaskedAutoencoder, restored
from s2d_edge.train.supply.feed import Feed

FOLDER = "reconstructions"  # in a run folder
_MASKED_GREY = 127.5
_GAP = 4  # pixels of white between pictures


def picture_name(epoch: int) -> str:
    """Path of an epoch's picture in the run folder."""
    return f"{FOLDER}/epoch-{epoch:04d}.jpg"


@torch.no_grad()
def reconstructions(model: MaskedAutoencoder, pictures: Tensor, visible: Tensor) -> Tensor:
    """Rows of pictures: as they are, with masked patches in grey, and with these filled in by the model.

    A predicted patch gets the brightness and contrast of the true one, which the model does not predict.

    Args:
        pictures: (B, H, W, 3) RGB in 0-255.
        visible: (B, V) places of the visible patches.

    Returns:
        (3, B, H, W, 3) float32 RGB in 0-255.
    """
    model.eval()
    patches = model.patches(pictures)  # (B, N, 3·p²)
    seen = torch.zeros(patches.shape[:2], dtype=torch.bool, device=patches.device).scatter(1, visible, True)
    grey = torch.full_like(pictures, _MASKED_GREY, dtype=torch.float32)
    masked = torch.where(seen.unsqueeze(2), patches, model.patches(grey))
    filled = torch.where(seen.unsqueeze(2), patches, restored(model(pictures, visible).float(), patches))
    return torch.stack([model.pictures_of(each) for each in (patches, masked, filled)])


def draw_reconstructions(
    model: MaskedAutoencoder, feed: Feed, visible: Tensor, windows: NDArray[np.int64], path: Path
) -> None:
    """Write the reconstructions of validation windows as a JPEG.

    Args:
        feed: of the validation clips.
        visible: (W, V) visible patches of all windows.
        windows: (B,) those to show.
    """
    device = model.pixel_mean.device
    index = feed.clips.windows[windows]
    frames = torch.from_numpy(feed.clips.frames[index[:, (index.shape[1] - 1) // 2]]).to(device)
    rows = reconstructions(model, frames, visible[torch.from_numpy(windows)].to(device))
    padded = torch.nn.functional.pad(rows, (0, 0, 0, _GAP, 0, _GAP), value=255.0)  # (3, B, H + g, W + g, 3)
    whole = padded.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)[:-_GAP, :-_GAP]
    written, encoded = cv2.imencode(".jpg", whole.round().byte().cpu().numpy()[:, :, ::-1])
    assert written
    path.write_bytes(encoded.tobytes())
