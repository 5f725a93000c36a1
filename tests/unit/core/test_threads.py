"""Results of threads keep the order of their items, and errors reach the caller."""

from __future__ import annotations

import itertools

import pytest

from rtrecon.core.threads import map_in_threads


def test_results_have_the_order_of_the_items():
    assert list(map_in_threads(lambda number: number**2, range(100))) == [
        number**2 for number in range(100)
    ]


def test_items_are_read_only_a_little_ahead_of_the_results():
    items = itertools.count()
    results = map_in_threads(lambda number: number, items)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    results.close()
    assert next(items) < 1000


def test_an_error_of_the_function_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda number: 1 / number, [1, 0]))
