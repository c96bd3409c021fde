"""Read a TFLite file: operators in order, their options, and constants as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from s2d_edge.core.errors import ConfigError

_DTYPES = {
    tflite.TensorType.FLOAT32: np.dtype("<f4"),
    tflite.TensorType.FLOAT16: np.dtype("<f2"),
    tflite.TensorType.INT32: np.dtype("<i4"),
}
_OPTIONS = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "CONCATENATION": tflite.ConcatenationOptions,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
    "DEPTH_TO_SPACE": tflite.DepthToSpaceOptions,
    "ADD": tflite.AddOptions,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator.

    Attributes:
        kind: TFLite's name of it.
        inputs, outputs: numbers of tensors.
        options: the schema's options of its kind; None where it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


class TFLiteGraph:
    """The only subgraph of a TFLite file."""

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            ConfigError: it is not a TFLite file of one subgraph.
        """
        content = path.read_bytes()
        if len(content) < 8 or not tflite.Model.ModelBufferHasIdentifier(content, 0):
            raise ConfigError(f"{path} is no TFLite graph; install mediapipe again")
        self._model = tflite.Model.GetRootAsModel(content, 0)
        if self._model.SubgraphsLength() != 1:
            raise ConfigError(f"{path} holds {self._model.SubgraphsLength()} graphs; wanted is one")
        self._graph = self._model.Subgraphs(0)
        self.inputs = tuple(int(number) for number in self._graph.InputsAsNumpy())
        self.outputs = tuple(int(number) for number in self._graph.OutputsAsNumpy())

    def operators(self) -> Iterator[Operator]:
        """Yield the operators in an order in which they can run."""
        for number in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(number)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            kind = tflite.opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
            options = _OPTIONS[kind]() if kind in _OPTIONS else None
            table = operator.BuiltinOptions()
            if options is not None and table is not None:
                options.Init(table.Bytes, table.Pos)
            yield Operator(
                kind=kind,
                inputs=tuple(int(tensor) for tensor in operator.InputsAsNumpy() if tensor >= 0),
                outputs=tuple(int(tensor) for tensor in operator.OutputsAsNumpy()),
                options=options,
            )

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return a tensor's shape; pictures are (1, H, W, C)."""
        found = self._graph.Tensors(tensor)
        return tuple(int(size) for size in found.ShapeAsNumpy()) if found.ShapeLength() else ()

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the values of a constant tensor, whole where they are stored sparsely; None of another one.

        Raises:
            ConfigError: a type or a way of storing that none of MediaPipe's face graphs has.
        """
        found = self._graph.Tensors(tensor)
        buffer = self._model.Buffers(found.Buffer())
        if not buffer.DataLength():
            return None
        if found.Type() not in _DTYPES:
            raise ConfigError(
                f"tensor {found.Name().decode()!r} is of type {found.Type()}, which is not read"
            )
        values = buffer.DataAsNumpy().view(_DTYPES[found.Type()])
        sparsity = found.Sparsity()
        return (
            values.reshape(self.shape(tensor)) if sparsity is None else self._dense(tensor, values, sparsity)
        )

    def _dense(self, tensor: int, values: NDArray[Any], sparsity: Any) -> NDArray[Any]:
        """Spread values whose last dimension is stored as compressed rows, after dense ones."""
        shape = self.shape(tensor)
        formats = [sparsity.DimMetadata(k).Format() for k in range(sparsity.DimMetadataLength())]
        dense = tflite.DimensionType.DENSE
        if sparsity.BlockMapLength() or formats != [dense] * (len(shape) - 1) + [1 - dense]:
            raise ConfigError(
                f"tensor {tensor} is stored in blocks, which is not read; use another mediapipe"
            )
        rows = sparsity.DimMetadata(len(shape) - 1)
        starts, columns = (_indices(rows, part) for part in ("ArraySegments", "ArrayIndices"))
        whole = np.zeros((len(starts) - 1, shape[-1]), values.dtype)
        whole[np.repeat(np.arange(len(starts) - 1), np.diff(starts)), columns] = values
        return whole.reshape(shape)


def _indices(rows: Any, part: str) -> NDArray[np.int64]:
    kinds = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }
    vector = kinds[getattr(rows, f"{part}Type")()]()
    table = getattr(rows, part)()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64)
