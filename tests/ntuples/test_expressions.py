"""Expressions mean what C and Python agree on, compute what numpy computes, and refuse everything else."""

import math
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlbkg.errors import ExpressionError
from mlbkg.ntuples.expressions import Expression

MESSAGES = Path(__file__).resolve().parents[1] / "messages"
NAN = float("nan")
COLUMNS = {
    "a": np.array([1.0, 2.0, 3.0, NAN]),
    "b": np.array([2.0, 2.0, 2.0, 2.0]),
    "c": np.array([3, 1, 2, 2], dtype=np.int32),
    "d": np.array([0.0, 1.0, 0.0, NAN]),
    "flags": np.array([1, 2, 4, 5], dtype=np.uint8),
    "x": np.array([9.4, 9.45, 9.5, 9.6], dtype=np.float32),
    "tau": np.array([1.0, 2.0, 3.0, 4.0]),
}


def value(text: str) -> list[object]:
    return Expression.parse(text).evaluate(COLUMNS).tolist()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("-b**2", "-(b**2)"),
        ("2**-b", "2**(-b)"),
        ("b**c**2", "b**(c**2)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a + b * c ** 2", "a + (b * (c ** 2))"),
        ("a < b && c > d", "(a < b) && (c > d)"),
        ("a < b and c > d", "(a < b) && (c > d)"),
        ("a < b || a > b && c > 1", "(a < b) || ((a > b) && (c > 1))"),
        ("a < b or a > b and c > 1", "(a < b) || ((a > b) && (c > 1))"),
        ("not a < b", "!(a < b)"),
        ("not a < b and c > 1", "(!(a < b)) && (c > 1)"),
        ("not not a < b", "a < b"),
        ("c > 1 and not a < b or d == 1", "((c > 1) && !(a < b)) || (d == 1)"),
        ("!d < b", "(!d) < b"),
        ("!d && c > 2", "(!d) && (c > 2)"),
        ("~(a < b)", "!(a < b)"),
        ("(a > 1) & (c > 1) | (d == 1)", "((a > 1) && (c > 1)) || (d == 1)"),
        ("a + 1 < b * 2", "(a + 1) < (b * 2)"),
        ("1 < a <= 2 && c > 0", "((1 < a) && (a <= 2)) && (c > 0)"),
        ("3 >= a > 1 > 0", "(3 >= a) && (a > 1) && (1 > 0)"),
        ("not 1 < a < 3", "!((1 < a) && (a < 3))"),
        ("TMath::Abs(a - 2)", "abs(a - 2)"),
        ("std::sqrt(b)", "sqrt(b)"),
        ("arctan2(a, b)", "TMath::ATan2(a, b)"),
        ("a\n < b", "a < b"),
        ("`a` < b", "a < b"),
    ],
)
def test_precedence(text: str, same: str) -> None:
    np.testing.assert_array_equal(value(text), value(same))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9.4 < x < 9.5", [False, True, False, False]),
        ("x >= 9.4", [False, True, True, True]),  # float32(9.4) = 9.39999961853: below 9.4, as ROOT says in double
        ("c / 2", [1.5, 0.5, 1.0, 1.0]),
        ("2 ** -1 + 0 * a", [0.5, 0.5, 0.5, NAN]),
        ("(a > 1) + (b > 1)", [1, 2, 2, 1]),
        ("-(a > 1)", [0, -1, -1, 0]),
        ("-5 % 3 + 0 * c", [1, 1, 1, 1]),
        ("flags % 2", [1, 0, 0, 1]),
        ("flags % 0", [NAN] * 4),
        ("flags & 4", [0, 0, 4, 4]),
        ("(flags & 4) != 0", [False, False, True, True]),
        ("flags | 1 & 3", [1, 3, 5, 5]),
        ("~flags", [-2, -3, -5, -6]),
        ("tau", [1.0, 2.0, 3.0, 4.0]),
        ("pi + 0 * c", [math.pi] * 4),
        ("TMath::Pi() + 0 * c", [math.pi] * 4),
        ("1", [1, 1, 1, 1]),
        ("true", [True] * 4),
        ("1e400", [math.inf] * 4),
        ("007 + .5 + 1.", [8.5] * 4),
        ("99999999999999999999", [1e20] * 4),
        ("min(a, b, c)", [1.0, 1.0, 2.0, NAN]),
        ("max(a, b)", [2.0, 2.0, 3.0, NAN]),
        ("where(a > 1, a, -1)", [-1.0, 2.0, 3.0, -1.0]),
        ("where(a > 1, a > 2, true)", [True, False, True, True]),
        ("where(c == 2, nan, c)", [3.0, 1.0, NAN, NAN]),
        ("hypot(3, 4 + 0 * c)", [5.0] * 4),
        ("rad(180) + 0 * c", [math.pi] * 4),
        ("isnan(a)", [False, False, False, True]),
        ("log(0 * c)", [-math.inf] * 4),
    ],
)
def test_value(text: str, expected: list[object]) -> None:
    np.testing.assert_array_equal(value(text), expected)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("a < 1", False),
        ("a > 1", False),
        ("a == a", False),
        ("a != a", True),
        ("!(a > 1)", True),
        ("1 < a < 3", False),
        ("a && true", False),
        ("!a", True),
        ("a || false", False),
    ],
)
def test_nan_compares_false_and_does_not_count_as_true(text: str, last: bool) -> None:
    assert value(text)[-1] is last


def test_whole_numbers_stay_exact() -> None:
    event = np.array([2**53 + 1, 2**53], dtype=np.int64)
    assert Expression.parse("event == 9007199254740993").evaluate({"event": event}).tolist() == [True, False]
    small = np.array([100_000], dtype=np.int32)
    assert Expression.parse("n * n").evaluate({"n": small}).tolist() == [10_000_000_000]


def test_names_come_in_order_and_once() -> None:
    expression = Expression.parse("b + `useCMSFrame(E)` * a > pi * b && sqrt(tau) > 1")
    assert expression.names == ("b", "useCMSFrame(E)", "a", "tau")
    assert pickle.loads(pickle.dumps(expression)) == expression  # noqa: S301 (as worker processes receive it)


KNOWN = ["useCMSFrame__boE__bc", "jet1_b-tag", "daughter__bo0__cm__sppt__bc", "muon.pt", "E", "a", "b", "a-b"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("useCMSFrame(E) > 1", ("useCMSFrame(E)",)),
        ("useCMSFrame__boE__bc > 1", ("useCMSFrame__boE__bc",)),
        ("abs(useCMSFrame(E)) > jet1_b-tag", ("useCMSFrame(E)", "jet1_b-tag")),
        ("daughter(0,pt) * 2", ("daughter(0,pt)",)),
        ("jet1_b-tag/2 + muon.pt", ("jet1_b-tag", "muon.pt")),
        ("a - b", ("a", "b")),
        ("`a-b`", ("a-b",)),
    ],
)
def test_known_columns_need_no_backticks(text: str, names: tuple[str, ...]) -> None:
    expression = Expression.parse(text, known=KNOWN)
    assert expression.names == names
    expression.check(KNOWN)
    columns = {name: np.arange(3.0) for name in names}
    assert expression.evaluate(columns).shape == (3,)


def test_columns_in_the_other_spelling_are_found() -> None:
    expression = Expression.parse("`useCMSFrame(E)` * 2")
    assert expression.evaluate({"useCMSFrame__boE__bc": np.array([1.0])}).tolist() == [2.0]


def fails(call: Callable[[], object]) -> str:
    with pytest.raises(ExpressionError) as caught:
        call()
    return str(caught.value)


MESSAGE_CASES: dict[str, Callable[[], object]] = {
    "unknown_function": lambda: Expression.parse("mRecoil > 9 && sqrtt(MPiPi) > 1"),
    "unknown_name": lambda: Expression.parse("mRecoill > 9 && q < 1").check(["mRecoil", "MPiPi"]),
    "syntax": lambda: Expression.parse("mRecoil > 9 9"),
    "ends_early": lambda: Expression.parse("mRecoil >"),
    "character": lambda: Expression.parse("mRecoil = 9"),
    "dot": lambda: Expression.parse("a.__class__"),
    "ambiguous_bits": lambda: Expression.parse("a & b == c"),
    "mixed_chain": lambda: Expression.parse("a < b == c"),
    "hyphen": lambda: Expression.parse("a-b > 1", known=["a", "b", "a-b"]),
    "bracket": lambda: Expression.parse("(a + (b * c)"),
    "arity": lambda: Expression.parse("atan2(a)"),
    "too_long": lambda: Expression.parse("a+" * 3000 + "a"),
    "too_deep": lambda: Expression.parse("(" * 100 + "a" + ")" * 100),
    "jagged": lambda: Expression.parse("track_px > 1").evaluate({"track_px": ak.Array([[1.0], []])}),
    "float_bits": lambda: Expression.parse("a & 1").evaluate(COLUMNS),
}


@pytest.mark.parametrize("case", MESSAGE_CASES)
def test_message(case: str) -> None:
    message = fails(MESSAGE_CASES[case])
    assert f"{message}\n" == (MESSAGES / f"ntuples_expression_{case}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "__import__(os)",
        "a.__class__.__mro__",
        "lambda x: x",
        "[x for x in a]",
        "exec('x')",
        "a; b",
        "a := 1",
        "f'{a}'",
        "a if b else c",
        "().__class__",
        "a ^ 2",
        "a == b == c",
        "a < b > c",
        "a != b < c",
        "a > 1 & b < 2",
        "a | b > 1",
        "a not b",
        "a + not b",
        "~a ** 2",
        "~ -a",
        "a b",
        "a,b",
        "(a,b)",
        "()",
        "",
        "  ",
        "a)",
        "not",
        "!",
        "~",
        "a &",
        "& a",
        "a | & b",
        "a < < b",
        "1 < a <",
        "min(a,)",
        "min(a)",
        "1_000",
        "1.2.3",
        "1abc",
        "`a",
        "``",
        "a[0]",
        "a ? b : c",
        "a:b",
        "foo::bar",
        "foo::sqrt(a)",
        "sqrt(a",
        "a\x00",
        "ａ",
        "𝟙 + 1",
        "True(1)",
        "where(a)",
        "((((" * 5000,
        "(" * 2000 + "a" + ")" * 2000,
        "-" * 10_000 + "a",
        "sqrt(" * 800 + "a" + ")" * 800,
    ],
)
def test_refused(text: str) -> None:
    start = time.perf_counter()
    message = fails(lambda: Expression.parse(text))
    assert message
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "text", ["9**9**9**9**9", "1e308 * 1e308 ** 9", "+".join("a" * 2000), "-" * 4000 + "a", "|".join(["c"] * 2000)]
)
def test_large_but_lawful_is_quick(text: str) -> None:
    start = time.perf_counter()
    assert len(Expression.parse(text).evaluate(COLUMNS)) == 4
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("column", [np.zeros((4, 2)), np.array(["a"] * 4), ak.Array([[1.0], [], [2.0], []])])
def test_columns_must_hold_one_number_a_row(column: object) -> None:
    assert "needs one number a row in 'a'" in fails(lambda: Expression.parse("a + 1").evaluate({"a": column}))


def test_an_absent_column_is_named() -> None:
    assert fails(lambda: Expression.parse("aa1 + b").evaluate({"aa2": np.zeros(1)})) == (
        "'aa1 + b' uses 1 unknown name\n  aa1; nearest: 'aa2'"
    )


@dataclass(frozen=True)
class Tree:
    """An expression as text, how tightly it binds (10: an atom), and what numpy makes of it."""

    text: str
    binds: int
    result: NDArray[np.generic]

    def at(self, level: int) -> str:
        return self.text if self.binds >= level else f"({self.text})"


def atoms() -> st.SearchStrategy[Tree]:
    names = st.sampled_from(["a", "b", "tau", "x"])
    numbers = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.25, 1e3])
    return names.map(lambda name: Tree(name, 10, COLUMNS[name].astype(np.float64))) | numbers.map(
        lambda number: Tree(repr(number), 10, np.full(4, number))
    )


BINARY = {"+": (6, np.add), "-": (6, np.subtract), "*": (7, np.multiply), "/": (7, np.divide), "%": (7, np.mod)}
UNARY_FUNCTIONS = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "floor": np.floor,
    "deg": np.degrees,
}


def power(base: NDArray[Any], exponent: NDArray[Any]) -> NDArray[Any]:
    """numpy takes the square root where the exponent is the one number 0.5, and -inf has no root."""
    assume(not (np.isneginf(base) & (exponent == 0.5)).any())
    result: NDArray[Any] = np.power(base, exponent)
    return result


BINARY_FUNCTIONS = {"min": np.minimum, "max": np.maximum, "hypot": np.hypot, "atan2": np.arctan2, "TMath::Power": power}
COMPARISONS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
LOGICAL = {"&&": (2, np.logical_and), "and": (2, np.logical_and), "||": (1, np.logical_or), "or": (1, np.logical_or)}


def binary(sign: str, left: Tree, right: Tree) -> Tree:
    level, ufunc = BINARY[sign]
    return Tree(f"{left.at(level)} {sign} {right.at(level + 1)}", level, ufunc(left.result, right.result))


def numbers(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(
        st.builds(binary, st.sampled_from(list(BINARY)), inner, inner),
        st.builds(lambda x: Tree(f"-{x.at(8)}", 8, -x.result), inner),
        st.builds(lambda x, y: Tree(f"{x.at(10)}**{y.at(8)}", 9, power(x.result, y.result)), inner, inner),
        st.builds(
            lambda f, x: Tree(f"{f}({x.text})", 10, UNARY_FUNCTIONS[f](x.result)),
            st.sampled_from(list(UNARY_FUNCTIONS)),
            inner,
        ),
        st.builds(
            lambda f, x, y: Tree(f"{f}({x.text}, {y.text})", 10, BINARY_FUNCTIONS[f](x.result, y.result)),
            st.sampled_from(list(BINARY_FUNCTIONS)),
            inner,
            inner,
        ),
    )


def conditions(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    def logical(sign: str, left: Tree, right: Tree) -> Tree:
        level, ufunc = LOGICAL[sign]
        return Tree(f"{left.at(level)} {sign} {right.at(level + 1)}", level, ufunc(left.result, right.result))

    return st.one_of(
        st.builds(logical, st.sampled_from(list(LOGICAL)), inner, inner),
        st.builds(lambda x: Tree(f"not {x.at(3)}", 3, np.logical_not(x.result)), inner),
        st.builds(lambda x: Tree(f"!{x.at(8)}", 8, np.logical_not(x.result)), inner),
        st.builds(lambda x, y: Tree(f"{x.at(9)} & {y.at(9)}", 4, x.result & y.result), inner, inner),
    )


with np.errstate(all="ignore"):
    NUMBERS = st.recursive(atoms(), numbers, max_leaves=8)


def compared(sign: str, left: Tree, right: Tree) -> Tree:
    return Tree(f"{left.at(6)} {sign} {right.at(6)}", 5, COMPARISONS[sign](left.result, right.result))


CONDITIONS = st.recursive(
    st.builds(compared, st.sampled_from(list(COMPARISONS)), NUMBERS, NUMBERS), conditions, max_leaves=5
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=300, deadline=None)
@given(NUMBERS | CONDITIONS)
def test_any_tree_is_what_numpy_says(tree: Tree) -> None:
    result = Expression.parse(tree.text).evaluate(COLUMNS)
    assert result.dtype == tree.result.dtype
    # numpy's power and exponential differ in the last bit between an array and a scalar exponent
    np.testing.assert_allclose(result, tree.result, rtol=1e-14)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab1.()+-*/<>=!&|~,` not", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(ExpressionError):
        names = Expression.parse(text).names
        assert all(name in text for name in names)
