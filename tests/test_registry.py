"""Registries find their modules, and name what is near."""

import pytest

from mlbkg.classifiers.base import BACKENDS
from mlbkg.errors import UnknownNameError, nearest
from mlbkg.registry import Registry


def test_unknown_names_get_the_nearest_and_the_list() -> None:
    with pytest.raises(UnknownNameError) as caught:
        BACKENDS["xgbost"]
    assert caught.value.what == "unknown backend 'xgbost'; did you mean 'xgboost'?"
    assert "lightgbm" in caught.value.hint


def test_a_name_is_registered_once() -> None:
    registry: Registry[int] = Registry("number", package="mlbkg.physics")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="twice"):
        registry.add("one", 2)


def test_nearest_ignores_case_and_gives_up_on_nonsense() -> None:
    assert nearest("MRECOIL", ["mRecoil", "MPiPi"]) == "mRecoil"
    assert nearest("zzzzzz", ["mRecoil"]) is None
