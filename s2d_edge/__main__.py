"""``python -m s2d_edge``, as ``torchrun -m s2d_edge`` starts it."""

from s2d_edge.verbs.main import main

if __name__ == "__main__":
    main()
