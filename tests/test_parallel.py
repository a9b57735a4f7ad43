"""One progress count, results in order, in one process or several."""

import pytest

from mlbkg.parallel import advance, parallel_map


def square(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} is negative")
    advance(n)
    return n * n


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_their_order_and_progress_adds_up(workers: int) -> None:
    seen: list[int] = []
    assert list(parallel_map(square, [3, 1, 2], workers=workers, on_progress=seen.append)) == [9, 1, 4]
    assert sum(seen) == 6


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_error_is_raised(workers: int) -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        list(parallel_map(square, [1, -1], workers=workers))
