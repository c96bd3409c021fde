"""The file of ``--plot``, checked before any work is done for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2d_edge.core.claims import refuse_same
from s2d_edge.core.errors import ConfigError, MissingExtraError
from s2d_edge.core.files import require_writable

_PLOTS = (".png", ".svg", ".pdf")


def check_plot_file(plot: Path, inputs: Sequence[Path]) -> None:
    """See that a picture can be drawn, and over none of the inputs.

    Raises:
        ConfigError: an unknown kind of file, one of the inputs, or a file that cannot be written.
        MissingExtraError: Matplotlib is not installed.
    """
    if plot.suffix.lower() not in _PLOTS:
        raise ConfigError(f"--plot {plot}: the kinds of picture are {', '.join(_PLOTS)}; name it so")
    refuse_same(plot, "--plot", inputs)
    require_writable(plot, "--plot")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("matplotlib", "train", "--plot") from None
