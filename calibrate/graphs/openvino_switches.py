"""An OpenVINO graph that holds each quantized layer twice, in INT8 and in FP32, with switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.contracts.engine import Logits
from s2d_edge.core.errors import QuantizationError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines.exact_int8 import openvino_properties
from s2d_edge.lint.openvino_view import constant_names, kind_of, name_of, readers, source_names

_SWITCHES = "s2d_edge_switches"


class SwitchedOpenVINO:
    """A graph whose layers switch; see :class:`s2d_edge.calibrate.graphs.sensitivity.Switched`."""

    def __init__(
        self, fp32: Path, int8: Path, groups: Sequence[Sequence[str]], properties: Mapping[str, str]
    ) -> None:
        """Join the graphs and compile them for the CPU.

        Args:
            groups: names of each group's layers.
            properties: of the runtime, as both bundles name them.

        Raises:
            QuantizationError: the INT8 graph is not the FP32 graph with quantizers around its layers.
        """
        model = _join(fp32, int8, {name: number for number, group in enumerate(groups) for name in group})
        compiled = openvino_core().compile_model(model, "CPU", {**properties, **openvino_properties()})
        self._request = compiled.create_infer_request()

    def infer(self, feed: Feed, int8: NDArray[np.bool_]) -> Logits:
        """Compute (1, K) logits with the chosen groups in INT8."""
        self._request.infer({**feed, _SWITCHES: int8})
        return np.array(self._request.get_output_tensor(0).data, dtype=np.float32)


def _join(fp32: Path, int8: Path, group_of: Mapping[str, int]) -> ov.Model:
    core = openvino_core()
    source, model = core.read_model(fp32), core.read_model(int8)
    quantized = {name_of(op): op for op in model.get_ops()}
    constants = constant_names(source)
    switches = ops.parameter([1 + max(group_of.values())], np.bool_, name=_SWITCHES)
    switches.output(0).get_tensor().set_names({_SWITCHES})
    if missing := set(group_of) - {name_of(op) for op in source.get_ops()}:
        raise QuantizationError(
            f"{fp32} has no {min(missing)}, which {int8} has in INT8; give the FP32 bundle it came from"
        )
    chosen: dict[str, Any] = {}  # replaces a layer's output
    for op in source.get_ordered_ops():
        name = name_of(op)
        if name not in group_of:
            continue
        origin = name_of(op.input_value(0).get_node())
        if origin not in quantized:
            raise QuantizationError(
                f"{int8} has no {origin}, which {name} reads in FP32; give the FP32 bundle it came from"
            )
        if kind_of(quantized[name].input_value(0).get_node()) != "FakeQuantize":
            raise QuantizationError(f"{int8}: {name} has no quantizer right before it; calibrate again")
        plain = chosen.get(origin, quantized[origin].output(op.input_value(0).get_index()))
        last = _with_bias(op, constants)
        floating = _in_float(op, plain)
        if last is not op:
            floating = ops.add(floating, _constant(last, constants))
        output = quantized[name_of(last)].output(0)
        followers = list(output.get_target_inputs())
        on = ops.gather(switches, np.array(group_of[name]), np.array(0))
        chosen[name_of(last)] = ops.select(on, output, floating).output(0)
        for follower in followers:
            follower.replace_source_output(chosen[name_of(last)])
    model.add_parameters([switches])
    model.validate_nodes_and_infer_types()
    return model


def _with_bias(op: Any, constants: set[str]) -> Any:
    """Return the addition of a bias if it is the only reader of a layer, else the layer."""
    following = [reader for reader, _ in readers(op)]
    if len(following) == 1 and kind_of(following[0]) == "Add" and constants & set(source_names(following[0])):
        return following[0]
    return op


def _constant(op: Any, constants: set[str]) -> Any:
    """Copy the constant among an operation's inputs."""
    node = next(value.get_node() for value in op.input_values() if name_of(value.get_node()) in constants)
    if kind_of(node) != "Constant":
        raise QuantizationError(
            f"{name_of(op)}: its weights are computed by a {kind_of(node)}, not stored; export again"
        )
    return ops.constant(node.data.copy())


def _in_float(op: Any, plain: Any) -> Any:
    """Copy a layer of the FP32 graph, with the input ``plain``."""
    weights = _constant(op, {name_of(op.input_value(1).get_node())})
    attributes = op.get_attributes()
    if kind_of(op) == "MatMul":
        return ops.matmul(plain, weights, attributes["transpose_a"], attributes["transpose_b"])
    build = ops.convolution if kind_of(op) == "Convolution" else ops.group_convolution
    return build(
        plain,
        weights,
        attributes["strides"],
        attributes["pads_begin"],
        attributes["pads_end"],
        attributes["dilations"],
        attributes["auto_pad"].upper(),
    )
