"""The submission is what HEPData's own validator takes, and says what the results say."""

from __future__ import annotations

import pytest
import yaml

from mlbkg.limits.result import Limit
from mlbkg.report.hepdata import Measured, limits_hepdata, write_submission, yields_hepdata
from mlbkg.report.limit_tables import LimitLine
from mlbkg.report.quantity import Quantity

MEASURED = Measured(("E+ E- --> UPSILON(3S)", "UPSILON(1S) --> INVISIBLE"), 10.3551, 200.0)
BRANCHING_FRACTION = Quantity("B(Υ(1S) → invisible)")


@pytest.fixture
def submission(tmp_path, fit_view, limit):
    lines = (
        LimitLine(limit("cls", 1.1e-5), "statistical only"),
        LimitLine(limit("bayesian", 3.2e-5, observed=4.4e-5), "with systematics"),
        LimitLine(Limit("profile", 0.9, 4.2e-5, None), "with systematics"),
    )
    tables = (
        limits_hepdata(lines, BRANCHING_FRACTION, MEASURED),
        yields_hepdata(fit_view().result, MEASURED, data_name="an expected data set"),
    )
    written = write_submission(tmp_path, tables, MEASURED, comment="Simulation: no data were used.")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the validator leaves the files open
def test_hepdata_takes_the_submission(submission):
    validator = pytest.importorskip("hepdata_validator.full_submission_validator", reason="needs hepdata-validator")
    check = validator.FullSubmissionValidator(schema_version="1.1.1")
    valid = check.validate(directory=str(submission))
    assert valid, check.get_messages()


def test_limits_carry_both_bands(submission):
    table = yaml.safe_load((submission / "upper_limits.yaml").read_text(encoding="utf-8"))
    methods, uncertainties = ([cell["value"] for cell in v["values"]] for v in table["independent_variables"])
    assert methods == ["CLs, asymptotic", "Bayesian", "profile likelihood"]
    assert uncertainties == ["statistical only", "with systematics", "with systematics"]
    observed, expected = table["dependent_variables"]
    assert [cell["value"] for cell in observed["values"]] == ["-", 4.4e-5, 4.2e-5]
    assert expected["values"][2] == {"value": "-"}
    one, two = expected["values"][0]["errors"]
    assert one["label"] == "1 sigma"
    assert one["asymerror"] == {"minus": pytest.approx(-0.28 * 1.1e-5), "plus": pytest.approx(0.39 * 1.1e-5)}
    assert two["asymerror"] == {"minus": pytest.approx(-0.46 * 1.1e-5), "plus": pytest.approx(0.86 * 1.1e-5)}
    qualifiers = {entry["name"]: entry["value"] for entry in expected["qualifiers"]}
    assert qualifiers["SQRT(S)"] == 10.3551
    assert qualifiers["Kind"] == "expected, median"


def test_yields_have_symmetric_errors_where_they_are(submission):
    table = yaml.safe_load((submission / "fit_yields.yaml").read_text(encoding="utf-8"))
    assert [cell["value"] for cell in table["independent_variables"][0]["values"]] == ["signal", "peaking", "background"]
    assert table["dependent_variables"][0]["values"][0] == {
        "value": 7286.0,
        "errors": [{"symerror": 1900.0, "label": "fit"}],
    }


def test_submission_names_its_tables(submission):
    about, *tables = yaml.safe_load_all((submission / "submission.yaml").read_text(encoding="utf-8"))
    assert about == {"comment": "Simulation: no data were used."}
    assert [table["data_file"] for table in tables] == ["upper_limits.yaml", "fit_yields.yaml"]
    keywords = {entry["name"]: entry["values"] for entry in tables[0]["keywords"]}
    assert keywords["cmenergies"] == [10.3551]
    assert keywords["reactions"] == list(MEASURED.reactions)
    assert all(table["location"] for table in tables)
