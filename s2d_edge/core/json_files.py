"""Read JSON files that may be damaged, hostile or written by others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s2d_edge.core.errors import S2DEdgeError

_DEEPEST = 100  # levels of a JSON file; no file of ours has ten


def read_json(path: Path, error: type[S2DEdgeError], remedy: str) -> dict[str, Any]:
    """Read a JSON object from a file, with or without a byte order mark.

    Args:
        error: the class to raise when the file cannot be read.
        remedy: advice for the user, the end of the message.

    Raises:
        S2DEdgeError: of the class ``error``: not readable, not UTF-8, not JSON, nested more than 100 deep, or
            not an object.
    """
    try:
        payload = json.loads(path.read_text(encoding="utf-8-sig"))
        check_depth(payload)
    except RecursionError:  # whose own text says less
        raise error(f"{path} is not readable JSON (nested too deeply); {remedy}") from None
    except (OSError, ValueError) as reason:  # ValueError: not UTF-8, not JSON, or a number of too many digits
        raise error(f"{path} is not readable JSON ({reason}); {remedy}") from None
    if not isinstance(payload, dict):
        raise error(f"{path} holds a JSON {type(payload).__name__}; wanted an object: {remedy}")
    return payload


def check_depth(tree: Any) -> None:
    """Check that a tree of lists and dicts can be walked by recursion, as validating and copying it do.

    Raises:
        RecursionError: it is nested more than 100 deep.
    """
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
        if not level:
            return
    raise RecursionError("nested too deeply")
