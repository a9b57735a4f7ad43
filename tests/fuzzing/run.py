"""Mutated model files: each must give a clear error or a correct model, in 5 seconds and 1 GiB.

    python tests/fuzzing/run.py --files 10000 --seed 1
    python tests/fuzzing/run.py --seed 1 --only 4711        # one file again
    python tests/fuzzing/run.py --seed 1 --from 6000        # go on there

Before them come those of crafted.py, which no accident makes. File ``i`` of a seed is the same on every machine with the
same versions of xgboost and lightgbm, which train the seeds.
Failures are kept in ``--keep`` as ``<seed>-<i>.<kind>``, with what was seen beside them.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from corpus import Seeds, corpus
from crafted import crafted
from mutate import mutated

SECONDS, LARGEST_MIB = 5.0, 1024.0
LONGEST = 1500
RIGHT = ("refused", "correct")
Answer = dict[str, str | float]


class Worker:
    """The process that opens files; a new one where the last has crashed or was too slow."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, kind: str, content: bytes) -> Answer:
        answer = self._asked(kind, content)
        if answer["outcome"] in RIGHT and float(answer["mib"]) > LARGEST_MIB:
            return {**answer, "outcome": "memory", "message": f"{answer['mib']:.0f} MiB"}
        if answer["outcome"] in RIGHT and float(answer["seconds"]) > SECONDS:
            return {**answer, "outcome": "slow", "message": f"{answer['seconds']:.1f} s"}
        return answer

    def _asked(self, kind: str, content: bytes) -> Answer:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        failed: Answer = {"seconds": 0.0, "mib": 0.0, "message": ""}
        try:
            process.stdin.write(f"{kind} {len(content)}\n".encode() + content)
            process.stdin.flush()
        except BrokenPipeError:
            self.close()
            return {**failed, "outcome": "crash", "message": f"exit code {process.returncode}"}
        if not select.select([process.stdout], [], [], 2 * SECONDS)[0]:
            self.close()
            return {**failed, "outcome": "hang", "message": f"no answer after {2 * SECONDS} s", "seconds": 2 * SECONDS}
        line = process.stdout.readline()
        if not line:
            self.close()
            return {**failed, "outcome": "crash", "message": f"exit code {process.returncode}"}
        answer: Answer = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def file_of(seeds: Seeds, seed: int, number: int) -> tuple[str, bytes]:
    """Kind and bytes of one file, which depend on nothing but these."""
    rng = Random(f"{seed}/{number}")  # noqa: S311
    kinds = sorted(seeds)
    kind = kinds[number % len(kinds)]
    return kind, mutated(kind, seeds[kind], rng)


def main() -> int:
    arguments = _arguments()
    seeds, worker = corpus(), Worker()
    counts: Counter[tuple[str, str]] = Counter()
    slowest = largest = 0.0
    began = time.perf_counter()
    for kind in sorted(seeds):
        for content in seeds[kind]:
            if (answer := worker(kind, content))["outcome"] != "correct":
                print(f"a seed of {kind} is not read: {answer['message']}")
                return 1
    for number, kind, content, row in _files(arguments, seeds):
        answer = worker(kind, content)
        counts[row, str(answer["outcome"])] += 1
        slowest, largest = max(slowest, float(answer["seconds"])), max(largest, float(answer["mib"]))
        if answer["outcome"] not in RIGHT or arguments.only is not None:
            _keep(arguments, number, kind, content, answer)
    worker.close()
    print(table(counts))
    failures = sum(count for (_, outcome), count in counts.items() if outcome not in RIGHT)
    print(
        f"{counts.total():,} files, seed {arguments.seed}: {failures} failures, slowest {slowest:.2f} s, "
        f"largest {largest:.0f} MiB, {time.perf_counter() - began:.0f} s in all"
    )
    return 1 if failures else 0


def _files(arguments: argparse.Namespace, seeds: Seeds) -> Iterator[tuple[str, str, bytes, str]]:
    """Name, kind, bytes, and the row of the table that they count in."""
    if arguments.only is not None:
        yield str(arguments.only), *file_of(seeds, arguments.seed, arguments.only), "one"
        return
    if arguments.begin == 0:
        for place, (kind, what, content) in enumerate(crafted(seeds)):
            yield f"crafted-{place} '{what}'", kind, content, "crafted"
    for number in range(arguments.begin, arguments.begin + arguments.files):
        kind, content = file_of(seeds, arguments.seed, number)
        yield str(number), kind, content, kind


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="begin", metavar="I", help="begin at file I")
    parser.add_argument("--only", type=int, metavar="I", help="file I alone, and say how it went")
    parser.add_argument("--keep", type=Path, help="folder for files that fail")
    return parser.parse_args()


def _keep(arguments: argparse.Namespace, number: str, kind: str, content: bytes, answer: Answer) -> None:
    print(
        f"file {number} ({kind}, {len(content)} bytes): {answer['outcome']}: {str(answer['message'])[-LONGEST:]}", flush=True
    )
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        name = f"{arguments.seed}-{number.split()[0]}"
        (arguments.keep / f"{name}.{kind}").write_bytes(content)
        (arguments.keep / f"{name}.json").write_text(json.dumps(answer, indent=1))


def table(counts: Counter[tuple[str, str]]) -> str:
    kinds, found = sorted({kind for kind, _ in counts}), sorted({outcome for _, outcome in counts} - set(RIGHT))
    outcomes = [*RIGHT, *found]
    lines = [f"{'kind':<14}" + "".join(f"{outcome:>12}" for outcome in outcomes)]
    for kind in kinds:
        lines.append(f"{kind:<14}" + "".join(f"{counts[kind, outcome]:>12,}" for outcome in outcomes))
    total = [sum(counts[kind, outcome] for kind in kinds) for outcome in outcomes]
    return "\n".join([*lines, f"{'all':<14}" + "".join(f"{count:>12,}" for count in total)])


if __name__ == "__main__":
    sys.exit(main())
