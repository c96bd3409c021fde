"""The bundle: the one contract between export, calibration and the device.

A bundle is a folder with ``manifest.json``, the graph (``model.onnx``, or ``model.xml`` and ``model.bin``), a
self-test, and the reports made on the way. The manifest says everything that a host must know. It lists the
hash of every file, and opening a bundle verifies them.
"""

from s2d_edge.contracts.bundle.manifest import (
    BUILD_SCRIPT,
    EXPERIMENTAL,
    EXPERIMENTAL_TARGETS,
    FORMAT_VERSION,
    GRAPHS,
    HALF_GRAPH,
    MANIFEST,
    AccuracyRecord,
    CalibrationClip,
    CalibrationRecord,
    EngineIdentity,
    FaceRecord,
    FaceSelfTest,
    Fraction,
    GraphFile,
    Manifest,
    Mode,
    ParityRecord,
    Precision,
    SelfTestRecord,
    Target,
    TensorSpec,
)
from s2d_edge.contracts.bundle.opening import (
    BUNDLES,
    Bundle,
    find_bundles,
    open_bundle,
    read_manifest,
    warn_of_skipped,
)
from s2d_edge.contracts.bundle.sealing import copy_face_pack, seal, tool_versions, writing_bundle

__all__ = [
    "BUILD_SCRIPT",
    "BUNDLES",
    "EXPERIMENTAL",
    "EXPERIMENTAL_TARGETS",
    "FORMAT_VERSION",
    "GRAPHS",
    "HALF_GRAPH",
    "MANIFEST",
    "AccuracyRecord",
    "Bundle",
    "CalibrationClip",
    "CalibrationRecord",
    "EngineIdentity",
    "FaceRecord",
    "FaceSelfTest",
    "Fraction",
    "GraphFile",
    "Manifest",
    "Mode",
    "ParityRecord",
    "Precision",
    "SelfTestRecord",
    "Target",
    "TensorSpec",
    "copy_face_pack",
    "find_bundles",
    "open_bundle",
    "read_manifest",
    "seal",
    "tool_versions",
    "warn_of_skipped",
    "writing_bundle",
]
