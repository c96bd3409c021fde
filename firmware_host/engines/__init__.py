"""Bundles behind the engine protocol: OpenVINO for ``model.xml``, ONNX Runtime for ``model.onnx``."""

from s2d_edge.firmware_host.engines.choose import (
    Fit,
    devices_text,
    fit_of,
    is_home,
    open_engine,
    require_device,
)

__all__ = ["Fit", "devices_text", "fit_of", "is_home", "open_engine", "require_device"]
