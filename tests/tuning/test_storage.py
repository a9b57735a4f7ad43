"""Studies are kept in journals and databases, and what is wrong with these is told without their passwords."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mlbkg.errors import MlbkgError
from mlbkg.tuning.space import Range, SearchSpace
from mlbkg.tuning.storage import JournalLock, displayed, open_storage
from mlbkg.tuning.study import Budget, Goal, Study, open_study
from mlbkg.tuning.trial import Outcome

SPACES = {"xgboost": SearchSpace(backend="xgboost", vary={"subsample": Range(low=0.1, high=1.0)})}


def opened(storage: str) -> Study:
    return open_study(storage, name="test", key="", goals=[Goal("loss", False)], spaces=SPACES, seed=1, prune=True)


def run(study: Study, trials: int) -> None:
    study.run(lambda attempt: Outcome((1.0,)), starts=(), budget=Budget(trials), workers=1)


@pytest.mark.parametrize(
    ("storage", "shown"),
    [
        ("postgresql+psycopg://anna:p%40ss:w@rd@db.desy.de:5432/tune", "postgresql+psycopg://anna:***@db.desy.de:5432/tune"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("mysql://anna@db/tune", "mysql://anna@db/tune"),
        ("runs/a:b@c/study.journal", "runs/a:b@c/study.journal"),
    ],
)
def test_passwords_are_not_shown(storage: str, shown: str) -> None:
    assert displayed(storage) == shown


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(MlbkgError) as caught:
        open_storage(f"sqlite:///{tmp_path}/no/such/folder/study.db")
    assert caught.value.where == "tuning.storage"
    assert "unable to open database file" in str(caught.value)
    for driver in ("postgresql+nosuchdriver", "mysql+mysqldb", "nosuchdatabase"):
        with pytest.raises(MlbkgError) as caught:
            open_storage(f"{driver}://anna:geheim@localhost:1/tune")
        assert "geheim" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.details[0]


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("learning rate: 0.1\nmore trees!\n")
    with pytest.raises(MlbkgError, match="no journal of a study"):
        opened(str(path))
    with pytest.raises(MlbkgError, match="directory"):
        opened(str(tmp_path))
    assert path.read_text() == "learning rate: 0.1\nmore trees!\n"


def test_a_journal_is_made_with_its_folder_and_half_a_line_in_it_is_dropped(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves the beginning of a line."""
    path = tmp_path / "runs" / "study.journal"
    run(opened(str(path)), trials=3)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":5,"worker_id":"abc","trial_id":2,"param_na')
    run(opened(str(path)), trials=5)
    assert path.read_bytes().startswith(whole + b'{"op_code"')
    assert len(opened(str(path)).trials) == 5


def test_one_at_a_time_holds_the_lock_of_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    path.touch()
    first, second = JournalLock(path), JournalLock(path)
    first.acquire()
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    first.release()
    waiting.join(5)
    assert not waiting.is_alive()
    second.release()
