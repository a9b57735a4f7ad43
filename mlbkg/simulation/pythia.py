"""Pythia 8: decays, final-state radiation and hadronisation of hard events, in batches that are filled in C++.

Events go in as a Les Houches file, because that is the one way in that does not call back into Python for every event.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlbkg.errors import MlbkgError
from mlbkg.physics.lorentz import FourVector
from mlbkg.simulation.base import Generated
from mlbkg.simulation.hard import HardEvents

SETTINGS = (
    "Print:quiet = on",
    "Beams:frameType = 4",
    "PDF:lepton = off",
    # Spin correlations between the taus make them 600 times slower, and no selection here looks at them.
    "TauDecays:mode = 0",
    "Random:setSeed = on",
)

MAX_TRIES = 10

HARD_FINAL = 23
"""Pythia's status of a particle that the hard event holds and that nothing has changed."""

MM_PER_CM = 10.0

_HEAD = '<LesHouchesEvents version="1.0">\n<init>\n11 -11 {e} {e} 0 0 0 0 3 1\n1 0 1 1\n</init>\n'
_BEAMS = "\n11 -1 0 0 0 0 0 0 {e} {e} 0 0 9\n-11 -1 0 0 0 0 0 0 -{e} {e} 0 0 9\n"
_EVENT = "%d 1 1 -1 %d -1\n"
_PARTICLE = "%d %d %d %d %d %d %.10g %.10g %.10g %.10g %.10g 0 9\n"


def decayed(hard: HardEvents, *, sqrt_s: float, seed: int, settings: tuple[str, ...] = ()) -> Generated:
    """The stable particles of ``hard``; ``mode`` is 0 everywhere, ``from_dipion`` marks all pions of the hard event itself.

    Events that Pythia gives up on are tried again. Raises :class:`MlbkgError` where one fails ``MAX_TRIES`` times.
    """
    pending = np.arange(hard.n_events)
    parts: list[dict[str, NDArray[Any]]] = []
    for attempt in range(MAX_TRIES):
        tried = hard if attempt == 0 else hard.take(pending)
        made, failed = _batch(tried, sqrt_s=sqrt_s, seed=seed + attempt, settings=settings)
        if made:
            parts.append({**made, "event": pending[made["event"]]})
        pending = pending[failed]
        if not len(pending):
            break
    else:
        raise MlbkgError(f"Pythia gave up on {len(pending)} of {hard.n_events} events, {MAX_TRIES} times")
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(merged["event"], kind="stable")
    particles = {name: values[order] for name, values in merged.items()}
    return Generated(
        n_events=hard.n_events,
        event=particles["event"],
        pdg=particles["pdg"],
        momentum=FourVector(*(particles[name] for name in ("e", "px", "py", "pz"))),
        vertex=FourVector(*(particles[name] for name in ("t", "x", "y", "z"))),
        mode=np.zeros(hard.n_events, dtype=np.int64),
        from_dipion=(particles["status"] == HARD_FINAL) & (np.abs(particles["pdg"]) == 211),
    )


def _batch(
    hard: HardEvents, *, sqrt_s: float, seed: int, settings: tuple[str, ...]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    """Columns of the stable particles (none where all failed), and which events failed, ``(n_events,)``.

    Pythia begins anew each time, which costs as much as 1500 events: one that goes on with another file
    (``Beams:newLHEFsameInit``) forgets its settings for Les Houches events, and makes other ones than in its first batch.
    """
    import pythia8mc

    with tempfile.TemporaryDirectory(prefix="mlbkg-pythia-") as folder:
        path = Path(folder) / "events.lhe"
        path.write_text(les_houches(hard, sqrt_s=sqrt_s), encoding="ascii")
        pythia = pythia8mc.Pythia("", False)
        for setting in (*SETTINGS, f"Random:seed = {seed}", f"Beams:LHEF = {path}", *settings):
            if not pythia.readString(setting):
                raise MlbkgError(f"Pythia does not know the setting '{setting}'")
        if not pythia.init():
            raise MlbkgError("Pythia cannot begin", details=settings)
        batch = pythia.nextBatch(hard.n_events, "skip")
        return _stable(batch, hard.n_events) if len(batch) else ({}, np.ones(hard.n_events, dtype=bool))


def les_houches(hard: HardEvents, *, sqrt_s: float) -> str:
    """The text of a Les Houches file (hep-ph/0609017), electron beam along +z.

    Events carry their number, from 1, as their electromagnetic coupling: Pythia hands that field on and does not use it.
    """
    counts = np.bincount(hard.event, minlength=hard.n_events)
    beam = f"{sqrt_s / 2.0:.10g}"
    quark = np.abs(hard.pdg) < 7
    table = np.column_stack(
        [
            hard.pdg,
            np.where(hard.resonance, 2, 1),
            np.where(hard.from_resonance, 3, 1),
            np.where(hard.from_resonance, 3, 2),
            np.where(quark & (hard.pdg > 0), 501, 0),
            np.where(quark & (hard.pdg < 0), 501, 0),
            hard.momentum.px,
            hard.momentum.py,
            hard.momentum.pz,
            hard.momentum.e,
            hard.mass,
        ]
    )
    lines = ((_PARTICLE * len(table)) % tuple(table.ravel().tolist())).splitlines(keepends=True)
    numbers = np.column_stack([counts + 2, np.arange(1, hard.n_events + 1)])
    heads = ((_EVENT * len(numbers)) % tuple(numbers.ravel().tolist())).splitlines()
    starts = np.array(heads, dtype=object) + _BEAMS.format(e=beam)
    pieces = np.insert(np.array(lines, dtype=object), np.cumsum(counts) - counts, "</event>\n<event>\n" + starts)
    # The first event has none before it to end
    body = "".join(pieces.tolist()).removeprefix("</event>\n")
    return _HEAD.format(e=beam) + body + "</event>\n</LesHouchesEvents>\n"


def _stable(batch: Any, n_events: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    import awkward as ak

    # Pythia steps over events that it refuses, so that the place in the batch does not tell which event it is
    events = np.rint(ak.to_numpy(batch.info.alphaEM)).astype(np.int64) - 1
    failed = np.ones(n_events, dtype=bool)
    failed[events] = False
    particles = batch.prt

    def flat(values: Any) -> NDArray[Any]:
        # Pythia leaves the vertex of a particle out where it is the origin
        return np.asarray(np.ma.filled(ak.to_numpy(ak.flatten(values), allow_missing=True), 0.0))

    status = flat(particles.status)
    final = status > 0
    columns: dict[str, NDArray[Any]] = {
        "event": np.repeat(events, ak.to_numpy(ak.num(particles.status)))[final],
        "status": status[final],
        "pdg": flat(particles.id)[final].astype(np.int64),
    }
    for name in ("e", "px", "py", "pz"):
        columns[name] = flat(particles.p[name])[final]
    for name, source in (("t", "e"), ("x", "px"), ("y", "py"), ("z", "pz")):
        columns[name] = flat(particles.vProd[source])[final] / MM_PER_CM
    return columns, failed
