"""Choose the rules of a target, and check a graph against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import Manifest, Target
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, UnfitGraphError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.lint.interface import interface_rule
from s2d_edge.lint.rules import Rule, Violation, broken

_SPELLED_OUT = 3  # violations in an error


def rules_for(target: Target, graph: str) -> Sequence[Rule[Any]]:
    """Return the rules of a target for a graph file of that name."""
    if graph.endswith(".onnx"):
        from s2d_edge.lint import onnxruntime, tensorrt

        return tensorrt.RULES if target == "jetson" else onnxruntime.RULES
    from s2d_edge.lint import openvino

    return openvino.NPU_RULES if target == "intel-npu" else openvino.RULES


def bundle_rules(manifest: Manifest) -> Sequence[Rule[Any]]:
    """Return the rules for a bundle's graphs: those of its target, and that they are as the manifest says."""
    if manifest.graph.endswith(".onnx"):
        from s2d_edge.lint.onnx_rules import ports as onnx_ports

        return [*rules_for(manifest.target, manifest.graph), interface_rule(manifest, onnx_ports)]
    from s2d_edge.lint.openvino_view import ports

    return [*rules_for(manifest.target, manifest.graph), interface_rule(manifest, ports)]


def lint_graph(path: Path, target: Target) -> list[Violation]:
    """Return every violation of the target's rules in a graph, in the order of the rules.

    Raises:
        BundleError: the file is no graph, or a damaged one.
    """
    return find_violations(path, rules_for(target, path.name))


def find_violations(path: Path, rules: Sequence[Rule[Any]]) -> list[Violation]:
    """Return every violation of some rules in a graph, in their order.

    Raises:
        BundleError: the file is no graph, or a damaged one.
    """
    graph = read_graph(path)
    return [violation for rule in rules for violation in broken(rule, graph)]


def read_graph(path: Path) -> Any:
    """Read a graph file: ONNX as :class:`~s2d_edge.lint.onnx_view.OnnxGraph`, an IR as OpenVINO's model.

    Raises:
        BundleError: it is no graph, or a damaged one.
    """
    try:
        return _onnx_graph(path) if path.suffix == ".onnx" else _openvino_model(path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of protobuf, onnx, OpenVINO or Python, each with classes of its own
        raise BundleError(
            f"{path} cannot be read as a graph ({type(error).__name__}: {_brief(error)}); "
            "copy or export the bundle again"
        ) from None


def _onnx_graph(path: Path) -> Any:
    import onnx

    from s2d_edge.lint.onnx_view import OnnxGraph, type_name

    onnx.checker.check_model(path)
    graph = OnnxGraph(onnx.load(path))
    for tensor in graph.tensors.values():
        onnx.numpy_helper.to_array(tensor)  # the checker looks at neither these …
    for kind in graph.types.values():
        type_name(kind)  # … nor at the types of values
    return graph


def _openvino_model(path: Path) -> Any:
    model = openvino_core().read_model(path)
    for op in model.get_ops():
        op.get_friendly_name()  # raises if it is no text
    return model


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no message"


def require_fit(path: Path, target: Target, console: Console) -> None:
    """Reject a graph that a target would refuse or compute wrongly; warn of lesser faults.

    Raises:
        UnfitGraphError: a rule is broken; names the nodes and the rules.
    """
    violations = lint_graph(path, target)
    errors = [violation for violation in violations if not violation.warns]
    for violation in violations:
        if violation.warns:
            console.warn(violation.sentence)
    if errors:
        listed = "; ".join(violation.sentence for violation in errors[:_SPELLED_OUT])
        more = f"; and {len(errors) - _SPELLED_OUT} more" if len(errors) > _SPELLED_OUT else ""
        raise UnfitGraphError(
            f"the graph does not fit {target}: {listed}{more}; this is a fault of the exporter or of the "
            "installed NNCF, or a model they do not support: report it with this message"
        )
