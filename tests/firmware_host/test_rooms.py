"""The order of the rooms inside the host: inputs, outputs and engines below the pipeline, runs on top."""

from __future__ import annotations

import grimp

HOST = "s2d_edge.firmware_host"
ORDER = ("live", "watch", "pipeline", "io")  # each may import from those to its right
ABOVE_ENGINES = ("live", "watch", "pipeline", "io")


def test_no_room_imports_from_one_above_it() -> None:
    graph = grimp.build_graph("s2d_edge")
    forbidden = [(low, high) for place, high in enumerate(ORDER) for low in ORDER[place + 1 :]]
    forbidden += [("engines", high) for high in ABOVE_ENGINES]
    for low, high in forbidden:
        chains = graph.find_shortest_chains(f"{HOST}.{low}", f"{HOST}.{high}", as_packages=True)
        assert chains == set(), f"{low} imports from {high}"
