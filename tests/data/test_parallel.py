"""Work shared out over processes."""

from __future__ import annotations

from fractions import Fraction

import pytest

from s2d_edge.data.parallel import in_parallel


@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (2, 3)])
def test_results_come_in_order_and_errors_when_their_turn_comes(workers: int, chunk: int) -> None:
    words = [f"1/{k}" for k in range(1, 30)]
    assert list(in_parallel(Fraction, words, workers=workers, chunk=chunk)) == [Fraction(w) for w in words]
    words[20] = "1/0"
    results = in_parallel(Fraction, words, workers=workers, chunk=1)
    assert [next(results) for _ in range(20)] == [Fraction(w) for w in words[:20]]
    with pytest.raises(ZeroDivisionError):
        next(results)
