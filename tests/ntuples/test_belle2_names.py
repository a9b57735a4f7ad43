"""basf2 names both ways. Codes: basf2 release-08, framework/utilities/src/MakeROOTCompatible.cc."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbkg.ntuples.belle2_names import escape, resolve, unescape


@pytest.mark.parametrize(
    ("name", "branch"),
    [
        ("useCMSFrame(E)", "useCMSFrame__boE__bc"),
        ("daughter(0,pt)", "daughter__bo0__cmpt__bc"),
        ("daughter(0, useCMSFrame(p))", "daughter__bo0__cm__spuseCMSFrame__bop__bc__bc"),
        ("extraInfo(decay-mode)", "extraInfo__bodecay__mimode__bc"),
        ("K_S0:all", "K_S0__clall"),
        ("a*b/c", "a__mub__slc"),
        ("x<1", "x__st1"),
        ("mRecoil", "mRecoil"),
    ],
)
def test_escape_is_basf2s(name: str, branch: str) -> None:
    assert escape(name) == branch
    assert unescape(branch) == name


def test_characters_without_a_code_are_dropped_as_basf2_does() -> None:
    assert escape("π0_mass") == "0_mass"


@given(st.text(alphabet=string.ascii_letters + string.digits + "(),.:+-*/<>=![]{}^~|'\"@;%$&?#\\ `´°§"))
def test_unescape_undoes_escape(name: str) -> None:
    escaped = escape(name)
    assert set(escaped) <= set(string.ascii_letters + string.digits + "_")
    assert unescape(escaped) == name
    assert escape(escaped) == escaped


@pytest.mark.parametrize("name", ["__event__", "__experiment__", "__run__", "__candidate__", "__weight__"])
def test_event_id_names_resolve_to_themselves(name: str) -> None:
    assert resolve(name, [name, "x"]) == name


@pytest.mark.parametrize(
    ("name", "available", "found"),
    [
        ("useCMSFrame(E)", ["E", "useCMSFrame__boE__bc"], "useCMSFrame__boE__bc"),
        ("useCMSFrame__boE__bc", ["E", "useCMSFrame(E)"], "useCMSFrame(E)"),
        ("daughter(0,pt)", ["daughter__bo0__cm__sppt__bc"], "daughter__bo0__cm__sppt__bc"),
        ("daughter(0, pt)", ["daughter__bo0__cmpt__bc"], "daughter__bo0__cmpt__bc"),
        ("f(a, b)", ["f(a,b)", "f(a ,b)"], None),
        ("__production__", ["__production__", "%oduction__"], "__production__"),
        ("R2", ["foxWolframR2"], None),
    ],
)
def test_resolve(name: str, available: list[str], found: str | None) -> None:
    assert resolve(name, available) == found
