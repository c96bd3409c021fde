"""Leave one package of OpenCV in this environment; ``make install`` runs it.

The base requires opencv-python-headless, MediaPipe opencv-contrib-python. Both hold the module cv2, and pip
installs one over the other.
"""

from __future__ import annotations

import subprocess
import sys

from s2d_edge.verbs.doctor_vision import one_opencv


def run(*words: str) -> None:
    """Run pip; its errors are printed."""
    subprocess.run(
        [sys.executable, "-m", "pip", words[0], "--quiet", "--disable-pip-version-check", *words[1:]],
        check=True,
    )


def main() -> None:
    """Uninstall all but one, and install that again, whose files went with the others."""
    kept, others = one_opencv()
    if others:
        run("uninstall", "--yes", *others)
        run("install", "--force-reinstall", "--no-deps", kept)


if __name__ == "__main__":
    main()
