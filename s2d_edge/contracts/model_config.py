"""Every size of the model, validated once. Needs no torch, since run folders are read without it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from s2d_edge.core.errors import ConfigError

LANDMARK_INPUT = 112  # the landmark network's picture, in pixels
LANDMARK_GRID = 14  # side of its feature map after conv_4
_LARGEST = 1_000_000  # no size of a real model; larger ones are typing errors

TemporalMode = Literal["bidirectional", "causal"]


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value <= _LARGEST:
            raise ConfigError(f"{owner}.{name}={value} must be positive and at most {_LARGEST:,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViTConfig:
    """A ViT in timm's layout.

    Attributes:
        image_size: side of the square picture, pixels.
        patch_size: side of a patch, pixels.
        width: D.
        depth: number of blocks.
        heads: attention heads; D / 64 unless the weights say otherwise.
        mlp_ratio: hidden width of the MLP over D.
    """

    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        _positive(
            "vit",
            image_size=self.image_size,
            patch_size=self.patch_size,
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            mlp_ratio=self.mlp_ratio,
        )
        if self.image_size % self.patch_size:
            raise ConfigError(
                f"vit.image_size={self.image_size} is not a multiple of patch_size={self.patch_size}"
            )
        if self.width % self.heads:
            raise ConfigError(f"vit.width={self.width} is not a multiple of heads={self.heads}")

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkConfig:
    """The MobileFaceNet that finds 68 points and lends its features to the prompters.

    Attributes:
        width: channels of the first stage; 64 is the published network. The map after ``conv_4`` has
            twice as many.
        depths: residual blocks of ``conv_3``, ``conv_4`` and ``conv_5``.
        points: landmarks regressed.
    """

    width: int = 64
    depths: tuple[int, int, int] = (4, 6, 2)
    points: int = 68

    def __post_init__(self) -> None:
        _positive("landmark", width=self.width, points=self.points, depths=min(self.depths))

    @property
    def channels(self) -> int:
        """Channels of the feature map the prompters read."""
        return 2 * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalConfig:
    """The Temporal-Modeling Adapters.

    Attributes:
        ratio: bottleneck width over D.
        heads: heads of the attention over time.
        mode: ``bidirectional``, as published: every frame of a clip attends to every other. ``causal``: a
            frame attends to itself and the T-1 before it, so a stream can be predicted frame by frame.
    """

    ratio: float = 0.25
    heads: int = 8
    mode: TemporalMode = "bidirectional"

    def __post_init__(self) -> None:
        _positive("temporal", heads=self.heads)
        if not 0 < self.ratio <= 1:
            raise ConfigError(f"temporal.ratio={self.ratio} must lie in (0, 1]")
        if self.mode not in get_args(TemporalMode):
            raise ConfigError(
                f"temporal.mode={self.mode!r} must be one of {', '.join(get_args(TemporalMode))}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class S2DConfig:
    """One S2D model, image (``temporal`` is None) or video.

    Attributes:
        frames: T of the video model; the image model takes one frame (frames = 1).
        prompt_width: hidden width of a Multi-View Complementary Prompter.
        classes: K.
        dropout: before the classifier, in training.
        grey: replace each pixel by its luma, so that colours have no effect. For photographs whose colours
            give the label away, as where some expressions come in grey and others in colour.
    """

    vit: ViTConfig = field(default_factory=ViTConfig)
    landmark: LandmarkConfig = field(default_factory=LandmarkConfig)
    temporal: TemporalConfig | None = field(default_factory=TemporalConfig)
    frames: int = 16
    prompt_width: int = 8
    classes: int = 7
    dropout: float = 0.0
    grey: bool = False

    def __post_init__(self) -> None:
        _positive("model", frames=self.frames, prompt_width=self.prompt_width)
        if self.classes < 2:
            raise ConfigError(f"model.classes={self.classes} must be at least 2")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.dropout={self.dropout} must lie in [0, 1)")
        if self.temporal is None and self.frames != 1:
            raise ConfigError(f"an image model has frames=1, not {self.frames}")
        if self.temporal is not None and self.bottleneck % self.temporal.heads:
            raise ConfigError(
                f"the adapter bottleneck {self.bottleneck} (ratio {self.temporal.ratio} of width "
                f"{self.vit.width}) is not a multiple of temporal.heads={self.temporal.heads}"
            )

    @property
    def bottleneck(self) -> int:
        """Width of the temporal adapters' bottleneck; only video models have one."""
        if self.temporal is None:
            raise ConfigError("an image model has no temporal adapters, hence no bottleneck")
        return int(self.vit.width * self.temporal.ratio)

    @property
    def causal(self) -> bool:
        """True when each frame's logits depend on no later frame."""
        return self.temporal is not None and self.temporal.mode == "causal"

    def as_image(self) -> S2DConfig:
        """The image model of the same size."""
        return replace(self, temporal=None, frames=1)

    def as_video(self, frames: int, temporal: TemporalConfig | None = None) -> S2DConfig:
        """The video model of the same size over ``frames`` frames."""
        return replace(self, temporal=temporal or TemporalConfig(), frames=frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedConfig:
    """The parts that pre-training adds to a ViT: a masked autoencoder (He et al. 2022, arXiv 2111.06377).

    Attributes:
        ratio: share of a picture's patches that are masked.
        decoder_width: width of the decoder; 0 takes half the ViT's. It has as many heads as the ViT.
        decoder_depth: its blocks. Where the encoder is trained further, one does nearly as well as eight
            (table 1a there).
    """

    ratio: float = 0.75
    decoder_width: int = 0
    decoder_depth: int = 2

    def __post_init__(self) -> None:
        _positive("masked", decoder_depth=self.decoder_depth)
        if not 0 < self.ratio < 1:
            raise ConfigError(f"masked.ratio={self.ratio} must lie in (0, 1)")
        if not 0 <= self.decoder_width <= _LARGEST:
            raise ConfigError(
                f"masked.decoder_width={self.decoder_width} must be 0 for half the ViT's width, or a width"
            )

    def decoder(self, vit: ViTConfig) -> ViTConfig:
        """Sizes of the decoder of a ViT.

        Raises:
            ConfigError: its width is not a multiple of the heads.
        """
        width = self.decoder_width or max(vit.width // 2 // vit.heads, 1) * vit.heads
        if width % vit.heads:
            raise ConfigError(
                f"masked.decoder_width={width} is not a multiple of its {vit.heads} heads; give one, or 0"
            )
        return replace(vit, width=width, depth=self.decoder_depth)


_SMALL = ViTConfig(width=384, heads=6)
_TINY = ViTConfig(width=192, heads=3)
_STARTER = ViTConfig(image_size=112, patch_size=8, width=128, depth=6, heads=4)

PRESETS: dict[str, S2DConfig] = {
    "base": S2DConfig(),
    "small": S2DConfig(vit=_SMALL),
    "tiny": S2DConfig(vit=_TINY),
    "small-112": S2DConfig(vit=replace(_SMALL, image_size=112, patch_size=8)),
    "tiny-112": S2DConfig(vit=replace(_TINY, image_size=112, patch_size=8)),
    # The model that ships: trains from nothing on some thousand photographs, streams on any CPU.
    "starter": S2DConfig(
        vit=_STARTER,
        landmark=LandmarkConfig(width=32),
        temporal=TemporalConfig(heads=4),
        frames=8,
        grey=True,
    ),
    # The starter with colours, for data where they do not give the label away, or to measure that.
    "starter-rgb": S2DConfig(
        vit=_STARTER,
        landmark=LandmarkConfig(width=32),
        temporal=TemporalConfig(heads=4),
        frames=8,
    ),
    # Trains in minutes on a laptop CPU: 7×7 patches, and a landmark network a sixteenth the cost.
    "demo": S2DConfig(
        vit=ViTConfig(image_size=112, patch_size=16, width=96, depth=3, heads=4),
        landmark=LandmarkConfig(width=16, depths=(2, 3, 1)),
        temporal=TemporalConfig(ratio=0.5, heads=4),
        frames=8,
        prompt_width=16,
    ),
}


def preset(name: str) -> S2DConfig:
    """Return the preset called ``name``.

    Raises:
        ConfigError: no such preset.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"there is no model size {name!r}; choose one of {', '.join(PRESETS)}") from None
