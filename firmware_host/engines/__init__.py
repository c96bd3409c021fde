"""Bundles behind the engine protocol: OpenVINO for ``model.xml``, ONNX Runtime for ``model.onnx``."""

from s2d_edge.firmware_host.engines.choose import (
    Fit,
    choose_bundle,
    choose_starter,
    fit_of,
    is_home,
    open_engine,
)

__all__ = ["Fit", "choose_bundle", "choose_starter", "fit_of", "is_home", "open_engine"]
