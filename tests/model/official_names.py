"""S2D weights under the official code's names and shapes, for checkpoints in its format."""

from __future__ import annotations

import re

from torch import Tensor

from s2d_edge.model.s2d import S2D

_BACK = (
    (r"^vit\.norm\.", "ln_post."),
    (r"^vit\.", ""),
    (r"^prompt_embed\.", "patch_embed_prompt.proj."),
    (r"^prompters\.(\d+)\.from_tokens\.", r"prompt_blocks.\1.conv0_0."),
    (r"^prompters\.(\d+)\.from_prompt\.", r"prompt_blocks.\1.conv0_1."),
    (r"^prompters\.(\d+)\.to_prompt\.", r"prompt_blocks.\1.conv1x1."),
    (r"^prompters\.(\d+)\.smooth$", r"prompt_blocks.\1.fovea.smooth"),
    (r"^adapters\.(\d+)\.time_down\.", r"prompt_blocks.\1.TMA.T_Adapter.D_fc1."),
    (r"^adapters\.(\d+)\.time_up\.", r"prompt_blocks.\1.TMA.T_Adapter.D_fc2."),
    (r"^adapters\.(\d+)\.time_attn\.", r"prompt_blocks.\1.TMA.T_Adapter.attn."),
    (r"^adapters\.(\d+)\.norm\.", r"prompt_blocks.\1.TMA.norm."),
    (r"^adapters\.(\d+)\.mix_down\.", r"prompt_blocks.\1.TMA.S_Adapter.D_fc1."),
    (r"^adapters\.(\d+)\.mix_up\.", r"prompt_blocks.\1.TMA.S_Adapter.D_fc2."),
    (r"^head\.", "head.fc_cls."),
)


def official_tensors(model: S2D) -> dict[str, Tensor]:
    """All weights but the landmark network's, as the official code saves them."""
    tensors = {}
    for name, value in model.state_dict().items():
        if name.startswith("landmark."):
            continue
        official = name
        for pattern, theirs in _BACK:
            official, hits = re.subn(pattern, theirs, name)
            if hits:
                break
        if re.search(r"conv0_[01]\.weight|conv1x1\.weight|patch_embed_prompt\.proj\.weight", official):
            value = value[..., None, None]
        if official == "temporal_embedding":
            value = value.squeeze(2)
        tensors[official] = value.clone()
    return tensors
