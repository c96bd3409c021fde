"""The Python API. Its public names are those of ``s2d_edge``; see ``help(s2d_edge)``."""
