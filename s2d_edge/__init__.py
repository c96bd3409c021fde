"""S2D-Edge: recognize facial expressions in video, on small computers, in real time.

A *bundle* is a folder that holds a model's graph, made for one kind of device. A small one comes with the
package, under the name ``starter``. Every function that takes a model takes that name, the path of a bundle,
or the path of a *run*, the folder that training writes. Bundles need no PyTorch.

A predicted expression is what a face shows, not what a person feels.

Classify a clip
    A clip is a video, a picture, a folder of frames, or frames in memory. The face is found and cropped.

    >>> import s2d_edge
    >>> from s2d_edge.data.avatars.clips import render_clip  # drawn faces; your own video does as well
    >>> frames, _ = render_clip(0, 0, 0, "happy", frames=8, fps=4, size=320)
    >>> frames.shape, frames.dtype
    ((8, 320, 320, 3), dtype('uint8'))
    >>> with s2d_edge.load("starter") as model:
    ...     prediction = model.predict(frames)
    >>> prediction.label in model.labels
    True
    >>> prediction.frames, prediction.faces_found
    (8, 8)

    ``model.predict("clip.mp4")`` does the same with a file; ``model.predict_many(paths)`` with many of them.
    ``model.predict_every("talk.mp4", 1.0)`` goes through a long video, window by window.

Follow one face
    A stream keeps the state of one face. Push frames as they come, each with its time in seconds.

    >>> with s2d_edge.load("starter") as model, model.stream() as stream:
    ...     for number, frame in enumerate(frames):
    ...         prediction = stream.push(frame, number / 4)
    ...     print(stream.warming)  # no longer, after a whole window of frames
    False

    ``push`` returns None where a frame is not due as a sample, where no face is in view, and while the window
    of a model that classifies whole windows is not full.

Watch a camera, a file or a network stream
    ``watch`` runs the live pipeline in the background: it drops old frames when the model is busy, reconnects
    a lost network stream, and follows several faces at once. Leaving the loop closes the source::

        for result in s2d_edge.watch(0):            # or "clip.mp4", or "rtsp://camera/stream"
            print(f"{result.t_s:6.1f} s  {result.label}")

Train, export, quantize, evaluate
    These are what ``s2d-edge train``, ``export``, ``calibrate`` and ``evaluate`` call, with the same options.
    The first three need ``pip install 's2d-edge[train]'``::

        image, video = s2d_edge.train(data="faces.csv", recipe="faces")
        bundle = s2d_edge.export(video, target="intel-cpu", mode="window")
        int8, report = s2d_edge.calibrate(bundle, data="faces.csv", max_drop_pp=0.5)
        print(s2d_edge.evaluate(int8, data="faces.csv")["uar"])

    They print warnings only; give ``console=s2d_edge.Console()`` for progress and tables on stderr. They
    decode clips in several processes, for which Python imports a script again: call them under
    ``if __name__ == "__main__":``.

Every error that a caller can cause is an :class:`S2DEdgeError`. Its message says what was given, what was
wanted and what to do. ``s2d-edge --help`` lists the verbs of the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2d_edge.api.evaluating import evaluate
    from s2d_edge.api.live import watch
    from s2d_edge.api.model import Model, load
    from s2d_edge.api.prediction import Prediction
    from s2d_edge.api.stages import calibrate, export, train
    from s2d_edge.api.stream import Stream
    from s2d_edge.core.console import Console
    from s2d_edge.core.errors import S2DEdgeError
    from s2d_edge.firmware_host.io.results import LiveResult

__version__ = "0.1.0"

__all__ = [
    "Console",
    "LiveResult",
    "Model",
    "Prediction",
    "S2DEdgeError",
    "Stream",
    "__version__",
    "calibrate",
    "evaluate",
    "export",
    "load",
    "train",
    "watch",
]

# Where each public name is defined. It is imported when it is first used: importing s2d_edge costs next to
# nothing.
_HOMES = {
    "Console": "s2d_edge.core.console",
    "LiveResult": "s2d_edge.firmware_host.io.results",
    "Model": "s2d_edge.api.model",
    "Prediction": "s2d_edge.api.prediction",
    "S2DEdgeError": "s2d_edge.core.errors",
    "Stream": "s2d_edge.api.stream",
    "calibrate": "s2d_edge.api.stages",
    "evaluate": "s2d_edge.api.evaluating",
    "export": "s2d_edge.api.stages",
    "load": "s2d_edge.api.model",
    "train": "s2d_edge.api.stages",
    "watch": "s2d_edge.api.live",
}

# Three functions have the name of the subpackage that does their work. Python binds a subpackage's name here
# when it is first imported. So that happens now, once (these packages are empty), and the names are then free
# for the functions. ``from s2d_edge.export.command import …`` works as ever.
for _name in ("calibrate", "export", "train"):
    import_module(f"{__name__}.{_name}")
    del globals()[_name]

if not TYPE_CHECKING:

    def __getattr__(name):
        """Import a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__():
        """Also list what was not imported yet."""
        return sorted({*globals(), *__all__})
