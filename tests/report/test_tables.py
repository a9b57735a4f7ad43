"""Rounding by the Particle Data Group's rule, and tables that fit a terminal."""

from __future__ import annotations

import pytest

from mlbkg.evaluation.estimates import Efficiency
from mlbkg.report.tables import Table, format_efficiency, format_p_value, format_value_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        # the two examples of the Review of Particle Physics, Introduction, sec. 5.3
        (0.827, 0.119, "0.83 ± 0.12"),
        (0.827, 0.367, "0.8 ± 0.4"),
        # its three ranges of leading digits, at their ends
        (5.4321, 0.0354, "5.432 ± 0.035"),
        (5.4321, 0.0355, "5.43 ± 0.04"),
        (5.4321, 0.0949, "5.43 ± 0.09"),
        (5.4321, 0.0950, "5.43 ± 0.10"),
        (0.9932, 0.0004, "0.9932 ± 0.0004"),
        (17281, 131.457, "17,280 ± 130"),
        (17281, 1.31, "17,281.0 ± 1.3"),
        (123456, 45678, "120,000 ± 50,000"),
        (-0.00011, 0.000031, "-0.000110 ± 0.000031"),
        (-0.000038, 0.000089, "(-4 ± 9) × 10⁻⁵"),
        (3.1e-5, 1.2e-6, "(3.10 ± 0.12) × 10⁻⁵"),
        (2.5e6, 3e6, "(2.5 ± 3.0) × 10⁶"),
        (-0.0006, 4900.0, "0 ± 5,000"),
        (-0.0006, 0.12, "0.00 ± 0.12"),
        (0.25, 0.0, "0.25 ± 0"),
        (0.25, float("nan"), "0.25"),
        (float("nan"), 0.1, "-"),
    ],
)
def test_value_and_error(value, error, text):
    assert format_value_error(value, error) == text


def test_efficiencies_in_per_cent():
    assert format_efficiency(Efficiency(0.0071, 0.0004, 0.0067, 0.0075, 0.008, 5e4, 355, 50_000)) == "0.71 ± 0.04 %"
    assert format_efficiency(Efficiency(0.0, 0.005, 0.0, 0.01, 0.0228, 100, 0, 100)) == "< 2.3 %"
    nan = float("nan")
    assert format_efficiency(Efficiency(nan, nan, nan, nan, nan, 0, 0, 0)) == "no candidates"


def test_small_p_values_are_bounds():
    assert format_p_value(0.0005) == "< 0.001"
    assert format_p_value(0.25) == "0.250"


def test_table_is_aligned():
    table = Table("Yields", ("category", "events"), (("generic", "12 ± 3"), ("qq", "1234 ± 40")))
    assert str(table).splitlines() == [
        "Yields",
        "category     events",
        "───────────────────",
        "generic      12 ± 3",
        "qq        1234 ± 40",
    ]


def test_long_names_give_way_to_numbers():
    table = Table("", ("name", "a", "b"), (("x" * 120, "1" * 30, "2" * 30),))
    lines = str(table).splitlines()
    assert max(map(len, lines)) == 100
    assert lines[-1].endswith("1" * 30 + "  " + "2" * 30)
    assert "…" in lines[-1]
