"""Results as a HEPData submission: submission.yaml and one data file per table.

Format: the HEPData submission schema, version 1.1.1, https://hepdata-submission.readthedocs.io.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbkg.atomic import atomic_write
from mlbkg.evaluation.estimates import Array
from mlbkg.fitting.result import FitResult
from mlbkg.limits.hypotheses import UpperLimits
from mlbkg.limits.result import Band, Limit
from mlbkg.report.limit_tables import LimitLine
from mlbkg.report.quantity import Quantity

SIGNIFICANT_DIGITS = 6
LONGEST_NAME, LONGEST_LOCATION = 64, 256
SUBMISSION = "submission.yaml"


@dataclass(frozen=True)
class Measured:
    """What all tables are about. ``reactions``: as HEPData writes them, such as "E+ E- --> UPSILON(3S)".

    sqrt_s_gev: None where the tables are not of one energy.
    """

    reactions: tuple[str, ...]
    sqrt_s_gev: float | None
    luminosity_per_fb: float | None


@dataclass(frozen=True)
class HepDataTable:
    """``location``: in the paper or the report. ``content``: what the data file holds."""

    name: str
    description: str
    location: str
    observables: tuple[str, ...]
    content: Mapping[str, Any]

    @property
    def data_file(self) -> str:
        return f"{re.sub(r'[^A-Za-z0-9]+', '_', self.name).strip('_').lower()}.yaml"


def limits_hepdata(lines: Sequence[LimitLine], quantity: Quantity, measured: Measured) -> HepDataTable:
    """Observed and expected limits by method; the bands are errors labelled "1 sigma" and "2 sigma"."""
    level = 100 * lines[0].limit.confidence_level
    header = {"name": f"{level:g} % CL upper limit on {quantity.symbol}", "units": quantity.unit}
    dependent = [_variable(header, [_expected(line.limit) for line in lines], measured, kind="expected, median")]
    if any(line.limit.observed is not None for line in lines):
        dependent.insert(0, _variable(header, [_observed(line.limit) for line in lines], measured, kind="observed"))
    return HepDataTable(
        name="Upper limits",
        description=f"Upper limits on {quantity.symbol} at {level:g} % confidence level. Expected: median of experiments "
        "without signal, with the central 68.3 % (1 sigma) and 95.4 % (2 sigma) of them.",
        location="Upper limits",
        observables=("CLS",),
        content={
            "independent_variables": [
                _names("Method", [line.method for line in lines]),
                _names("Uncertainties", [line.uncertainties for line in lines]),
            ],
            "dependent_variables": dependent,
        },
    )


def yields_hepdata(result: FitResult, measured: Measured, *, data_name: str) -> HepDataTable:
    """Candidates of each component of the fit. ``data_name``: what was fitted."""
    values = [
        {"value": _number(found.value), "errors": [_error(found.error_low, found.error_high, label="fit")]}
        for found in result.yields
    ]
    return HepDataTable(
        name="Fit yields",
        description="Candidates of each component in the fit window, from the extended maximum-likelihood fit to "
        f"{data_name}.",
        location="Signal extraction",
        observables=("N",),
        content={
            "independent_variables": [_names("Component", [found.name for found in result.yields])],
            "dependent_variables": [_variable({"name": "Candidates"}, values, measured, kind=data_name)],
        },
    )


def scan_hepdata(
    masses: Array, axes: Sequence[Quantity], limits: Sequence[UpperLimits], quantity: Quantity, measured: Measured
) -> HepDataTable:
    """Limits of every hypothesis, ``masses`` ``(n, n_axes)``: one column for each method, observed and expected."""
    level, dependent = 100 * limits[0].confidence_level, []
    for found in limits:
        header = {"name": f"{level:g} % CL upper limit on {quantity.symbol}, {found.method}", "units": quantity.unit}
        if found.observed is not None:
            values = [{"value": _number_or_dash(value)} for value in found.observed]
            dependent.append(_variable(header, values, measured, kind="observed"))
        values = [_expected_of_band(band) for band in found.expected.T]
        dependent.append(_variable(header, values, measured, kind="expected, median"))
    return HepDataTable(
        name="Upper limits",
        description=f"Upper limits on {quantity.symbol} at {level:g} % confidence level for every hypothesis. Expected: "
        "median of experiments without signal, with the central 68.3 % (1 sigma) and 95.4 % (2 sigma) of them.",
        location="Upper limits",
        observables=("CLS",),
        content={
            "independent_variables": [
                {
                    "header": {"name": axis.symbol, "units": axis.unit},
                    "values": [{"value": _number(value)} for value in column],
                }
                for axis, column in zip(axes, masses.T.tolist(), strict=True)
            ],
            "dependent_variables": dependent,
        },
    )


def write_submission(folder: Path, tables: Sequence[HepDataTable], measured: Measured, *, comment: str) -> tuple[Path, ...]:
    """Write ``submission.yaml``, last, and the data files into ``folder``. ``comment``: about all of the submission."""
    for table in tables:
        _dump(folder / table.data_file, [table.content])
    _dump(folder / SUBMISSION, [{"comment": comment}, *(_entry(table, measured) for table in tables)])
    return (folder / SUBMISSION, *(folder / table.data_file for table in tables))


def _entry(table: HepDataTable, measured: Measured) -> dict[str, Any]:
    energies = [] if measured.sqrt_s_gev is None else [{"name": "cmenergies", "values": [_number(measured.sqrt_s_gev)]}]
    return {
        "name": table.name[:LONGEST_NAME],
        "description": table.description,
        "location": table.location[:LONGEST_LOCATION],
        "keywords": [
            {"name": "reactions", "values": list(measured.reactions)},
            {"name": "observables", "values": list(table.observables)},
            *energies,
        ],
        "data_file": table.data_file,
    }


def _variable(
    header: Mapping[str, str], values: Sequence[Mapping[str, Any]], measured: Measured, *, kind: str
) -> dict[str, Any]:
    qualifiers: list[dict[str, Any]] = [{"name": "RE", "value": reaction} for reaction in measured.reactions]
    if measured.sqrt_s_gev is not None:
        qualifiers.append({"name": "SQRT(S)", "value": _number(measured.sqrt_s_gev), "units": "GEV"})
    if measured.luminosity_per_fb is not None:
        qualifiers.append({"name": "LUMINOSITY", "value": _number(measured.luminosity_per_fb), "units": "FB^-1"})
    qualifiers.append({"name": "Kind", "value": kind})
    return {
        "header": {key: value for key, value in header.items() if value},
        "qualifiers": qualifiers,
        "values": list(values),
    }


def _names(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {"header": {"name": name}, "values": [{"value": value} for value in values]}


def _observed(limit: Limit) -> dict[str, Any]:
    return {"value": "-" if limit.observed is None else _number(limit.observed)}


def _expected(limit: Limit) -> dict[str, Any]:
    band: Band | None = limit.expected
    if band is None:
        return {"value": "-"}
    return {
        "value": _number(band.median),
        "errors": [
            _error(band.minus_1sigma - band.median, band.plus_1sigma - band.median, label="1 sigma"),
            _error(band.minus_2sigma - band.median, band.plus_2sigma - band.median, label="2 sigma"),
        ],
    }


def _expected_of_band(band: Array) -> dict[str, Any]:
    """``(5,)`` quantiles at -2 to +2 standard deviations."""
    median = float(band[2])
    if not math.isfinite(median):
        return {"value": "-"}
    return {
        "value": _number(median),
        "errors": [
            _error(float(band[1]) - median, float(band[3]) - median, label="1 sigma"),
            _error(float(band[0]) - median, float(band[4]) - median, label="2 sigma"),
        ],
    }


def _number_or_dash(value: float) -> float | str:
    return _number(value) if math.isfinite(value) else "-"


def _error(low: float, high: float, *, label: str) -> dict[str, Any]:
    """``low`` is negative."""
    minus, plus = _number(low), _number(high)
    if minus == -plus:
        return {"symerror": plus, "label": label}
    return {"asymerror": {"minus": minus, "plus": plus}, "label": label}


def _number(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _dump(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    import yaml

    with atomic_write(path) as file:
        yaml.safe_dump_all(
            documents, file, sort_keys=False, allow_unicode=True, width=120, explicit_start=len(documents) > 1
        )
