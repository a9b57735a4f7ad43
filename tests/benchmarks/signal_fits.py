"""Time of a fit to a toy experiment against the same model through ``iminuit.cost`` and Migrad: same data, one thread.

    python tests/benchmarks/signal_fits.py [toys]

A peak on a peaking and a smooth background as in the Υ(1S) search: 120 bins, 4 free and 6 constrained parameters.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from iminuit import Minuit
from iminuit.cost import ExtendedBinnedNLL, NormalConstraint
from timing import compared

from mlbkg.fitting.base import SHAPES, Shape, Window
from mlbkg.fitting.fit import minimise
from mlbkg.fitting.model import Component, Model, Parameter, Rate, nuisance
from mlbkg.fitting.toys import Experiment, Experiments, seeds

WINDOW = Window(9.40, 9.52, "GeV")
EDGES = WINDOW.edges(120)
PEAK = (9.4604, 0.0022)
NUISANCES = {f"uncertainty{i}": 0.01 * (i + 1) for i in range(6)}


def main(toys: int, *, turns: int = 3) -> dict[str, dict[str, float]]:
    """``bare_s`` and ``mlbkg_s`` (seconds for all toys) and their ``ratio``, mlbkg over bare."""
    model = upsilon1s()
    experiments = Experiments(model, model.starts.tolist(), edges=EDGES)
    drawn = [experiments.draw(np.random.default_rng(seed)) for seed in seeds(1, toys)]
    jobs = {
        "bare": lambda: [by_iminuit(toy) for toy in drawn],
        "mlbkg": lambda: [minimise(toy.model, toy.data).minimum for toy in drawn],
    }
    # the two find the same minima, or the comparison is none
    np.testing.assert_allclose(jobs["mlbkg"](), jobs["bare"](), atol=1e-2)
    return {"iminuit.cost": compared(jobs, turns=turns)}


def upsilon1s() -> Model:
    """1.7 million smooth and 84,000 peaking candidates, and 7,000 of the signal."""
    peak, smooth = shape("gaussian"), shape("chebyshev", order=2)
    fixed = tuple(Parameter(name, value, fixed=True) for name, value in zip(("mean", "sigma"), PEAK, strict=True))
    names = tuple(parameter.name for parameter in fixed)
    return Model(
        WINDOW,
        (
            Component("signal", peak, Rate(1.0, "signal"), names),
            Component("peaking", peak, Rate(84_000.0, None, NUISANCES), names),
            Component("smooth", smooth, Rate(1.0, "smooth"), ("c1", "c2")),
        ),
        (
            Parameter("signal", 7000.0, step=1000.0),
            Parameter("smooth", 1.7e6, 0.0, step=1300.0),
            Parameter("c1", 0.05, -2.0, 2.0, step=0.01),
            Parameter("c2", -0.02, -2.0, 2.0, step=0.01),
            *fixed,
            *(nuisance(name) for name in NUISANCES),
        ),
    )


def shape(name: str, **settings: int) -> Shape:
    family = SHAPES[name]
    return family.build(family.params.model_validate(settings), WINDOW, lambda _: (np.empty(0), np.empty(0)))


def by_iminuit(toy: Experiment) -> float:
    model = toy.model
    free = [i for i, parameter in enumerate(model.parameters) if not parameter.fixed]
    names = [model.names[i] for i in free]

    def expected(x: np.ndarray, *theta: float) -> np.ndarray:
        values = model.starts
        values[free] = theta
        return model.cumulative(x, values.tolist())

    cost = ExtendedBinnedNLL(toy.data.counts, EDGES, expected, name=names)
    for i in free:
        constraint = model.parameters[i].constraint
        if constraint is not None:
            cost = cost + NormalConstraint(model.names[i], constraint.mean, constraint.sigma)
    minuit = Minuit(cost, **{model.names[i]: model.parameters[i].start for i in free})
    minuit.errors = [model.parameters[i].step for i in free]
    return float(minuit.migrad().fval)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50), indent=2))
