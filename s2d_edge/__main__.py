"""The command line's beginning, also as ``python -m s2d_edge`` and ``torchrun -m s2d_edge``."""

import sys


def main() -> None:
    """Run a verb; an interrupt while the command line is imported ends it as any other does."""
    try:
        from s2d_edge.verbs.main import main as run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
