"""YAML: what is read as what (YAML 1.2 core schema, https://yaml.org/spec/1.2.2/#103-core-schema), and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbkg.config.source import MAX_NODES, SourceError, dump, parse


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("1e-3", 1e-3),
        ("5.70e-5", 5.7e-5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("7", 7),
        ("-3", -3),
        ("1_000_000", 1000000),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        ("12:30:00", "12:30:00"),
        ("2019-03-13", "2019-03-13"),
        ("'1e-3'", "1e-3"),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("__event__", "__event__"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, meant: object) -> None:
    value = parse(f"key: {written}").data["key"]
    assert value == meant
    assert type(value) is type(meant)


def test_infinity_is_read_so_that_the_schema_can_refuse_it() -> None:
    assert parse("key: -.inf").data["key"] == float("-inf")


def test_lines_are_those_of_keys_and_list_entries() -> None:
    source = parse("# comment\na: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert source.line_of(("a",)) == 2
    assert source.line_of(("b", 1)) == 5
    assert source.line_of(("b", 1, "d")) == 6
    assert source.line_of(("b", 1, "missing")) == 5
    assert source.line_of(("nothing",)) == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "given twice; first on line 1"),
        (
            "a: !!python/object/apply:os.system ['true']\n",
            1,
            "the tag '!!python/object/apply:os.system' is not allowed here",
        ),
        ("a: 1\nb: !!binary aGk=\n", 2, "the tag '!!binary' is not allowed here"),
        ("a: !!int x\n", 1, "the tag '!!int' is not allowed here"),
        ("a: &x [*x]\n", 1, "an alias that holds itself"),
        ("a: 1\nb: c: 2\n", 2, "a second ':' in one line"),
        ("a:\n\tb: 1\n", 2, "a tab cannot indent"),
        ("a: 1\n---\nb: 2\n", 2, "more than one document"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("- a\n", 1, "must be keys and values"),
        ("? [a, b]\n: 1\n", 1, "a key must be one word"),
        ("a: \x07\n", 1, "is not allowed"),
        ("", 1, "the file is empty"),
        ("[" * 5000, 1, "nested too deeply"),
    ],
)
def test_what_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert message in problem.message
    assert (problem.line or 1) == line


def test_aliases_are_followed_but_not_without_end() -> None:
    assert parse("a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}
    laughs = "\n".join(
        [f"l0: &l0 [{', '.join(['lol'] * 10)}]"] + [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)]
    )
    with pytest.raises(SourceError) as caught:
        parse(laughs)
    assert f"more than {MAX_NODES} values" in caught.value.problems[0].message


SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=12)
KEYS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)


@given(
    st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(KEYS, SCALARS, max_size=3), min_size=1)
)
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert parse(dump(data)).data == data
