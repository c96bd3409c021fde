"""The self-test of a face pack: compare where a device finds drawn faces with where a CPU found them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, FaceRecord, FaceSelfTest
from s2d_edge.core.errors import BundleError, SelfTestError
from s2d_edge.firmware_host.engines.face_runtime import FaceRuntime, open_face_runtime
from s2d_edge.media.crop import MESH_POINTS, Picture
from s2d_edge.media.faces.graph_search import GraphSearch
from s2d_edge.media.faces.graphs import FaceFiles, FaceGraphs, pack_of
from s2d_edge.media.faces.mesh import OUTER_EYES

_FILE = "face/selftest.npz"
_PARTS = ("pictures", "points", "boxes")
# In percent of the distance between the eyes' outer corners. Two CPU runtimes differ by hundredths; numbers
# of 16 bits are an eighth of a pixel apart where points lie, which is some tenths.
MEAN_LIMIT, P99_LIMIT = 1.0, 3.0
BOX_LIMIT = 5.0  # percent of the box's longer side


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAgreement:
    """Distances between the faces that a device finds and those a CPU found.

    Attributes:
        faces: how many were drawn.
        missed: of these, not found by the mesh, or not by the far detector.
        mean_percent, p99_percent: distance of the points, percent of that between the eyes' outer corners.
        box_percent: the largest distance of a corner of the far detector's box, percent of its longer side.
    """

    faces: int
    missed: int
    mean_percent: float
    p99_percent: float
    box_percent: float

    @property
    def faults(self) -> tuple[str, ...]:
        """A phrase for each figure beyond its limit; empty if the device passes."""
        found = []
        if self.missed:
            found.append(f"it finds none in {self.missed} of {self.faces} pictures")
        if not (self.mean_percent <= MEAN_LIMIT and self.p99_percent <= P99_LIMIT):
            found.append(
                f"points are {self.mean_percent:.2f} % of the eyes' distance off on average, "
                f"{self.p99_percent:.2f} % at the 99th percentile ({MEAN_LIMIT:g} and {P99_LIMIT:g} allowed)"
            )
        if not self.box_percent <= BOX_LIMIT:
            found.append(f"a distant face's box is {self.box_percent:.1f} % off ({BOX_LIMIT:g} allowed)")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceReport:
    """The result of a face pack's self-test.

    Attributes:
        bundle: its name.
        engine: runtime and device in use.
        reference: the engine that found the reference points.
        agreement: the figures.
    """

    bundle: str
    engine: EngineIdentity
    reference: EngineIdentity
    agreement: FaceAgreement

    def as_json(self) -> dict[str, Any]:
        """Return every figure, with the identities as the manifest writes them."""
        return {
            "passed": not self.agreement.faults,
            "engine": self.engine.model_dump(),
            "reference": self.reference.model_dump(),
            "agreement": asdict(self.agreement),
            "faults": list(self.agreement.faults),
        }

    def require(self) -> None:
        """Raise if the self-test failed.

        Raises:
            SelfTestError: it failed; the message has the figures, and what to do.
        """
        if self.agreement.faults:
            advice = (
                "make the bundle again on this machine with 's2d-edge export'"
                if self.engine.device == "cpu"
                else "use --face-device cpu, or update the device's driver"
            )
            raise SelfTestError(
                f"{self.engine} finds other faces with {self.bundle} than {self.reference} did: "
                f"{'; '.join(self.agreement.faults)}; {advice}"
            )


def write_face_self_test(
    folder: Path, face: FaceRecord, pictures: Sequence[Picture], runtime: FaceRuntime
) -> FaceRecord:
    """Find drawn faces with a pack, and write them into the folder of its bundle with their points.

    Args:
        folder: the bundle's.
        face: the record of its pack.
        pictures: (S, S, 3) uint8 RGB of one size, a large face in each.
        runtime: a CPU's.

    Returns:
        The record with the self-test in it.

    Raises:
        SelfTestError: no face is found in a picture.
    """
    files = FaceFiles(near=folder / face.near, far=folder / face.far, mesh=folder / face.mesh)
    drawn = np.stack(pictures)
    points, boxes = _find(files, runtime, drawn)
    if not (np.isfinite(points).all() and np.isfinite(boxes).all()):
        raise SelfTestError(
            f"{runtime.identity} finds no face in a drawn one; use the mediapipe of constraints.txt"
        )
    np.savez_compressed(folder / _FILE, pictures=drawn, points=points, boxes=boxes)
    tested = FaceSelfTest(file=_FILE, faces=len(drawn), engine=runtime.identity)
    return face.model_copy(update={"self_test": tested})


def check_faces(bundle: Bundle, device: str, model_device: str) -> FaceReport | None:
    """Run the self-test of a bundle's face pack on a device; None where it has none.

    Args:
        device, model_device: as :func:`open_face_runtime` takes them.

    Raises:
        BundleError: the bundle's faces cannot be read.
        DeviceError: the device is missing, refuses the pack, or fails.
    """
    face = bundle.manifest.face
    if face is None or face.self_test is None:
        return None
    return face_self_test(bundle, face.self_test, open_face_runtime(bundle, device, model_device))


def face_self_test(bundle: Bundle, record: FaceSelfTest, runtime: FaceRuntime) -> FaceReport:
    """Compare the faces that a device finds with those in the bundle.

    Raises:
        BundleError: the bundle's faces cannot be read.
        DeviceError: the device refuses the pack, or fails.
    """
    files = pack_of(bundle)
    assert files is not None  # the record is of its pack
    pictures, wanted, corners = _reference_of(bundle, record)
    points, boxes = _find(files, runtime, pictures)
    missed = ~(np.isfinite(points).all(axis=(1, 2)) & np.isfinite(boxes).all(axis=1))
    eyes = np.linalg.norm(wanted[:, OUTER_EYES[0]] - wanted[:, OUTER_EYES[1]], axis=1)
    apart = 100 * np.linalg.norm(points - wanted, axis=2) / eyes[:, None]
    off = 100 * np.abs(boxes - corners).max(axis=1) / corners[:, 2:].max(axis=1)
    seen = ~missed
    agreement = FaceAgreement(
        faces=len(pictures),
        missed=int(missed.sum()),
        mean_percent=float(apart[seen].mean()) if seen.any() else 0.0,
        p99_percent=float(np.percentile(apart[seen], 99)) if seen.any() else 0.0,
        box_percent=float(off[seen].max()) if seen.any() else 0.0,
    )
    return FaceReport(
        bundle=bundle.manifest.name, engine=runtime.identity, reference=record.engine, agreement=agreement
    )


def _find(
    files: FaceFiles, runtime: FaceRuntime, pictures: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (n, 468, 2) and boxes (n, 4) of the faces in (n, S, S, 3); NaN where none is found."""
    search = GraphSearch(FaceGraphs(files, runtime.compiled), static=True, max_faces=1, min_confidence=0.5)
    points = np.full((len(pictures), MESH_POINTS, 2), np.nan, np.float32)
    boxes = np.full((len(pictures), 4), np.nan, np.float32)
    for k, picture in enumerate(pictures):
        for found in search.look(picture):
            points[k] = found
        box = search.far_box(picture)
        if box is not None:
            boxes[k] = box
    return points, boxes


def _reference_of(
    bundle: Bundle, record: FaceSelfTest
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return the drawn faces, their points and their boxes."""
    path = bundle.path / record.file
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            pictures, points, boxes = (stored[part] for part in _PARTS)
    except Exception as error:  # an archive that is no archive raises whatever its bytes lead to
        raise BundleError(f"{path} cannot be read ({error}); export the bundle again") from None
    count = record.faces
    if (
        (pictures.ndim, pictures.dtype, len(pictures)) != (4, np.uint8, count)
        or points.shape != (count, MESH_POINTS, 2)
        or boxes.shape != (count, 4)
        or not (np.isfinite(points).all() and np.isfinite(boxes).all())
    ):
        raise BundleError(
            f"{path} holds {pictures.dtype} {pictures.shape}, {points.shape} and {boxes.shape}; {count} "
            f"pictures with ({MESH_POINTS}, 2) points and boxes of 4 are wanted: export the bundle again"
        )
    return pictures, points, boxes
