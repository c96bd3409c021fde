"""S2D (arXiv 2312.05447): the image model, and with temporal adapters the video model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import LANDMARK_GRID, S2DConfig
from s2d_edge.core.errors import ConfigError
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.pixels import PictureModel
from s2d_edge.model.temporal import TemporalAdapter, ages_of
from s2d_edge.model.vit import VIT_EPS, ViT, sine_cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Parameters of a model, the frozen landmark network left out.

    Attributes:
        total: all of them.
        trainable: those with ``requires_grad``.
        landmark: those of the landmark network, not part of ``total``.
        landmark_trainable: those of it with ``requires_grad``.
    """

    total: int
    trainable: int
    landmark: int
    landmark_trainable: int = 0

    def __str__(self) -> str:
        text = f"{self.total / 1e6:.2f} M parameters"
        if self.trainable != self.total:
            share = 100 * self.trainable / self.total
            text += f", {self.trainable / 1e6:.2f} M trainable ({share:.1f} %)"
        text += f", beside a {'' if self.landmark_trainable else 'frozen '}landmark network of "
        text += f"{self.landmark / 1e6:.2f} M"
        return f"{text}, {self.landmark_trainable / 1e6:.2f} M trainable" if self.landmark_trainable else text


class Prompter(nn.Module):
    """Multi-View Complementary Prompter (MCP): landmark features as prompts for the ViT's patch tokens.

    L_i = W₃[φ(W₁x̂ + b₁) + W₂L̂ + b₂] + b₃ with φ(z) = z ⊙ softmax over patches(s·z), as in arXiv 2312.05447.
    The 1×1 convolutions of the official code are linears on tokens.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.from_tokens = nn.Linear(width, hidden)  # W₁
        self.from_prompt = nn.Linear(width, hidden)  # W₂
        self.to_prompt = nn.Linear(hidden, width)  # W₃
        self.smooth = nn.Parameter(torch.full((1,), 10.0))  # s
        for linear in (self.from_tokens, self.from_prompt, self.to_prompt):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor, prompt: Tensor) -> Tensor:
        """Normed patch tokens and normed previous prompt, both (B·T, N, D) -> the next prompt (B·T, N, D)."""
        view = self.from_tokens(tokens)  # (B·T, N, hidden)
        attended = view * torch.softmax(self.smooth * view, dim=1)
        y: Tensor = self.to_prompt(attended + self.from_prompt(prompt))
        return y


class S2D(PictureModel):
    """A ViT with prompters and, in the video model, temporal adapters: a clip in, logits out.

    Before each ViT block, on patch tokens only, a prompter adds landmark features and, in the video model,
    an adapter adds features of the other frames.
    """

    def __init__(self, config: S2DConfig) -> None:
        super().__init__(grey=config.grey)
        self.config = config
        width, depth = config.vit.width, config.vit.depth
        self.vit = ViT(config.vit)
        self.landmark = MobileFaceNet(config.landmark)
        self.prompt_embed = nn.Linear(config.landmark.channels, width)
        # Block i norms its tokens with norm i-1, and both blocks 0 and 1 with norm 0, as the official code
        # does. The last norm is never used; it is kept so that official weights fit one to one.
        self.prompt_norms = nn.ModuleList(nn.LayerNorm(width, eps=VIT_EPS) for _ in range(depth))
        self.prompters = nn.ModuleList(Prompter(width, config.prompt_width) for _ in range(depth))
        self.adapters = nn.ModuleList()
        self.temporal_embedding: nn.Parameter | None = None
        if config.temporal is not None:
            span = config.frames if config.causal else None
            self.adapters.extend(
                TemporalAdapter(width, config.bottleneck, config.temporal.heads, span) for _ in range(depth)
            )
            if not config.causal:  # a causal model has no absolute times: its stream has no end
                self.temporal_embedding = nn.Parameter(torch.zeros(1, config.frames, 1, width))
        self.head = nn.Linear(width, config.classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.landmark.requires_grad_(False)
        self.landmark.eval()

    def train(self, mode: bool = True) -> S2D:
        """Switch the mode of all but the landmark network, whose batch norms never change."""
        super().train(mode)
        self.landmark.eval()
        return self

    def freeze_backbone(self) -> None:
        """Freeze all but what stage 2 trains: prompters, adapters, temporal embedding, last norm and head."""
        self.vit.requires_grad_(False)
        self.vit.norm.requires_grad_(True)

    def start_times(self, scale: float) -> None:
        """Start a bidirectional model's temporal embedding from sine-cosine times of amplitude ``scale``.

        A causal model has none and stays as it is.
        """
        if self.temporal_embedding is None:
            return
        with torch.no_grad():
            times = sine_cosine(torch.arange(self.config.frames), self.config.vit.width, longest=100.0)
            self.temporal_embedding.copy_(scale * times[None, :, None])

    def start_contrast(self) -> None:
        """Start a causal model's adapters from differences in time; see :class:`TemporalAdapter`."""
        for adapter in self.adapters:
            cast(TemporalAdapter, adapter).start_contrast()

    def start_head(self, scale: float) -> None:
        """Make the weights of a fresh head ``scale`` times as large."""
        with torch.no_grad():
            self.head.weight.mul_(scale)

    def count_parameters(self) -> ParameterCount:
        """Count the parameters, as the paper does without the landmark network."""
        own = [p for name, p in self.named_parameters() if not name.startswith("landmark.")]
        return ParameterCount(
            total=sum(p.numel() for p in own),
            trainable=sum(p.numel() for p in own if p.requires_grad),
            landmark=sum(p.numel() for p in self.landmark.parameters()),
            landmark_trainable=sum(p.numel() for p in self.landmark.parameters() if p.requires_grad),
        )

    def normalise(self, clip: Tensor) -> Tensor:
        """(B, T, H, W, 3) RGB in 0-255, uint8 or float -> (B·T, 3, H, W) ImageNet-normalised.

        A causal model takes any number of frames.
        """
        frames = clip.shape[1] if self.config.causal and clip.ndim == 5 else self.config.frames
        if clip.ndim != 5 or clip.shape[1] != frames or clip.shape[-1] != 3:
            raise ConfigError(f"the model takes clips (B, {frames}, H, W, 3), not {tuple(clip.shape)}")
        return self.normalise_pictures(clip.flatten(0, 1))

    def landmark_maps(self, pictures: Tensor) -> Tensor:
        """(B·T, 3, H, W) normalised -> (B·T, channels, h, w): the landmark map, a cell per patch."""
        features = self.landmark.features(self.landmark.resize(pictures))
        grid = self.config.vit.grid
        if grid != LANDMARK_GRID:
            features = F.interpolate(features, (grid, grid), mode="bilinear", align_corners=False)
        return features

    def first_prompt(self, maps: Tensor) -> Tensor:
        """(B·T, channels, h, w) landmark maps -> L₋₁ (B·T, N, D)."""
        y: Tensor = self.prompt_embed(maps.flatten(2).transpose(1, 2))  # (B·T, N, channels) -> D
        return y

    def features(self, clip: Tensor, maps: Tensor | None = None, numbers: Tensor | None = None) -> Tensor:
        """(B, T, H, W, 3) RGB in 0-255 -> (B, D): the class token, averaged over the (last T) frames.

        Args:
            maps: :meth:`landmark_maps` of the clip, (B·T, channels, h, w), if they were computed before.
            numbers: (B, T) float64, where each frame lies on the model's grid; by default a period apart.
                A causal model then sees their true ages, and averages those that are younger than T periods.
        """
        cls = self.class_tokens(clip, maps, numbers)
        if numbers is None or not self.config.causal:
            return cls[:, -self.config.frames :].mean(dim=1)
        seen = (ages_of(numbers)[:, -1] < self.config.frames).to(cls.dtype)  # (B, F)
        return (seen[:, None] @ cls).squeeze(1) / seen.sum(dim=1, keepdim=True)

    def class_tokens(self, clip: Tensor, maps: Tensor | None = None, numbers: Tensor | None = None) -> Tensor:
        """(B, F, H, W, 3) RGB in 0-255 -> (B, F, D): each frame's class token, normed."""
        frames = clip.shape[1]
        age = None if numbers is None else ages_of(numbers)
        pictures = self.normalise(clip)
        prompt = self.first_prompt(self.landmark_maps(pictures) if maps is None else maps)
        x = self.vit.patch_embed(pictures)  # (B·T, N, D)
        for i, block in enumerate(self.vit.blocks):
            patches = x if i == 0 else x[:, 1:]
            tokens = self.prompt_norms[max(i - 1, 0)](patches)
            prompt = self.prompters[i](tokens, self.prompt_norms[0](prompt))
            patches = patches + prompt
            if self.adapters:
                patches = patches + self.adapters[i](tokens, frames, age)
            x = self._embed(patches) if i == 0 else torch.cat((x[:, :1], patches), dim=1)
            x = block(x)
        cls: Tensor = self.vit.norm(x[:, 0])  # (B·T, D)
        return torch.unflatten(cls, 0, (-1, frames))

    def _embed(self, patches: Tensor) -> Tensor:
        """Prepend the class token; add the position and, in the video model, the temporal embedding."""
        x: Tensor = self.vit.add_class_token(patches)  # (B·T, 1 + N, D)
        if self.temporal_embedding is None:
            return x
        x = torch.unflatten(x, 0, (-1, self.config.frames)) + self.temporal_embedding
        return x.flatten(0, 1)

    def forward(self, clip: Tensor, maps: Tensor | None = None, numbers: Tensor | None = None) -> Tensor:
        """(B, T, H, W, 3) RGB in 0-255, uint8 or float -> (B, K) logits; see :meth:`features`."""
        return self.classify(self.features(clip, maps, numbers))

    def classify(self, features: Tensor) -> Tensor:
        """(B, D) from :meth:`features` -> (B, K) logits, with dropout in training."""
        logits: Tensor = self.head(F.dropout(features, self.config.dropout, self.training))
        return logits

    def stream(self, clip: Tensor) -> Tensor:
        """Logits after each frame of a causal model: (B, F, H, W, 3), any F -> (B, F, K).

        Each frame's logits come from the mean class token of the last T frames, or of all so far if fewer.

        Raises:
            ConfigError: the model is not causal, so its logits would depend on later frames.
        """
        if not self.config.causal:
            raise ConfigError("only a causal model predicts frame by frame; train one with --temporal causal")
        cls = self.class_tokens(clip)  # (B, F, D)
        times = torch.arange(clip.shape[1], device=cls.device)
        age = times[:, None] - times
        window = ((age >= 0) & (age < self.config.frames)).to(cls.dtype)  # (F, F)
        logits: Tensor = self.head(window @ cls / window.sum(dim=1, keepdim=True))
        return logits
