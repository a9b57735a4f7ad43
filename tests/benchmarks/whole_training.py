"""Where the wall time of ``mlbkg train CONFIG`` goes, and its memory.

    python tests/benchmarks/whole_training.py [CONFIG]

Samples that the config simulates are made first and are not counted. The work proper is reading, features, fitting and
evaluation; everything else (checks, export with its parity gate, figures, tables, tracking) is ``outside``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import run_watched

ROOT = Path(__file__).resolve().parents[2]
UPSILON1S = ROOT / "configs" / "upsilon1s.yaml"
PROPER = ("reading and features", "fitting", "evaluation")


def main(config: Path = UPSILON1S, *, samples: Path | None = None) -> dict[str, float]:
    """Seconds of each part as ``mlbkg train`` tells them, ``seconds`` of the whole program with its start, ``peak_mb``, and
    ``outside_share``, of ``seconds``. ``samples``: a folder that stands for the config's ``data``."""
    mlbkg = str(Path(sys.executable).with_name("mlbkg"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tests").symlink_to(ROOT / "tests")
        if samples is not None:
            (Path(folder) / "data").symlink_to(samples.resolve())
        subprocess.run([mlbkg, "simulate", str(config), "--quiet"], cwd=folder, check=True, capture_output=True)
        used = run_watched([mlbkg, "train", str(config), "--quiet", "--json"], cwd=folder)
    parts: dict[str, float] = json.loads(used.stdout)["seconds"]
    proper = sum(parts[part] for part in PROPER)
    return {**parts, "seconds": used.seconds, "peak_mb": used.peak_mb, "outside_share": 1 - proper / used.seconds}


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:2])), indent=2))
