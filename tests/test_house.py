"""The house keeps its order: each heavy library has one home, files and functions stay small, nothing unsafe is used."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mlbkg"
HOMES = {
    "uproot": {"ntuples"},
    "awkward": {"ntuples", "candidates", "features", "simulation"},
    "pythia8mc": {"simulation"},
    "xgboost": {"classifiers"},
    "lightgbm": {"classifiers"},
    "sklearn": {"classifiers", "evaluation"},
    "onnx": {"export"},
    "treelite": {"export"},
    "onnxruntime": {"export", "selection"},
    "mlflow": {"tracking"},
    "matplotlib": {"report"},
    "mplhep": {"report"},
    "pydantic": {"config", "registry.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "yaml": {"config", "report"},
    "jinja2": {"report"},
    "formulate": {"ntuples"},
    "iminuit": {"fitting"},
    "numba_stats": {"fitting"},
    "pyhf": {"limits"},
    "optuna": {"tuning"},
}
FORBIDDEN_MODULES = {"pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module(path: Path) -> None:
    tree = parsed(path)
    home = path.relative_to(PACKAGE).parts[0]
    strangers = {name for name in imports(tree) if name in HOMES and home not in HOMES[name]}
    assert not strangers, f"{strangers} have no home in {home}"
    assert not imports(tree) & FORBIDDEN_MODULES
    assert path.read_text(encoding="utf-8").count("\n") <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 60, node.name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS
    if path.name == "__init__.py":
        assert all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign) for node in tree.body)


def test_nothing_imports_its_own_package_root() -> None:
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert node.module != "mlbkg", path
                folder = ".".join(path.parent.relative_to(ROOT).parts)
                assert node.module != folder, f"{path} imports from its own __init__"


def test_top_level_is_as_agreed() -> None:
    agreed = {"pyproject.toml", "mlbkg", "configs", "training", "models", "tests", "README.md", "LICENSE"}
    made_by_use = {"data", "runs", "mlflow.db", "mlartifacts", "mlruns"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found <= agreed | made_by_use
