"""Score and decision as columns of a ROOT RDataFrame, through a Python callback.

    python rdataframe.py model.onnx ntuple.root events 0.9534 scored.root [--batches]

Each row calls Python, which calls ONNX Runtime, and ``scored.root`` has all branches and two more. With ``--batches`` the
columns come as arrays of 100,000 rows, which costs a fraction per row, and ``scored.root`` has ``score`` and ``selected``
only, row for row: a friend of the ntuple. Branches are called as the model's metadata calls its features.
"""

import ctypes
import json
import sys

import numpy as np
import onnxruntime
import ROOT

BATCH = 100_000
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_void_p)


def open_model(path):
    """A session on one thread, and the branches of its features in the order of its input."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # with more, small batches may differ in the last bit
    session = onnxruntime.InferenceSession(path, options)
    features = json.loads(session.get_modelmeta().custom_metadata_map["mlbkg.features"])
    return session, [feature["column"] or feature["name"] for feature in features]


def scored(session, branches, frame):
    """``frame`` with the column ``score``, and what must outlive its event loop: the callback, and what went wrong in it.

    One row is in use at a time: not with ``EnableImplicitMT``.
    """
    row, errors = np.empty((1, len(branches)), dtype=np.float32), []

    def score(values):
        try:
            ctypes.memmove(row.ctypes.data, values, row.nbytes)
            return session.run(["output"], {"input": row})[0][0, 0]
        except Exception as error:
            errors.append(error)
            return np.nan

    known = set(map(str, frame.GetColumnNames()))
    wrong = [branch for branch in branches if branch not in known or not branch.isidentifier()]
    if wrong:  # ROOT compiles what it gets: nothing but names of branches may be in it
        sys.exit(f"no branches of this name, or none that C++ can name: {', '.join(wrong)}")
    callback = CALLBACK(score)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    values = ", ".join(f"static_cast<float>({branch})" for branch in branches)
    frame = frame.Define("_row", f"std::array<float, {len(branches)}>{{{values}}}")
    frame = frame.Define("score", f"reinterpret_cast<float (*)(const float *)>({address}ull)(_row.data())")
    return frame, callback, errors


def by_callback(session, branches, path, tree, cut, output):
    frame = ROOT.RDataFrame(tree, path)
    columns = [*map(str, frame.GetColumnNames()), "score", "selected"]
    frame, callback, errors = scored(session, branches, frame)
    frame = frame.Define("selected", f"score >= static_cast<float>({float(cut)!r})")
    options = ROOT.RDF.RSnapshotOptions()
    options.fLazy = True
    rows, selected = frame.Count(), frame.Filter("selected").Count()
    snapshot = frame.Snapshot(tree, output, columns, options)
    snapshot.GetValue()
    del callback
    if errors:
        raise errors[0]
    return selected.GetValue(), rows.GetValue()


def in_batches(session, branches, path, tree, cut, output):
    rows, scores = ROOT.RDataFrame(tree, path).Count().GetValue(), []
    for first in range(0, rows, BATCH):
        part = ROOT.RDF.Experimental.RDatasetSpec().AddSample(("part", tree, path))
        columns = ROOT.RDataFrame(part.WithGlobalRange((first, min(first + BATCH, rows)))).AsNumpy(branches)
        X = np.column_stack([columns[branch].astype(np.float32) for branch in branches])
        scores.append(session.run(["output"], {"input": X})[0][:, 0])
    score = np.concatenate(scores)
    selected = score >= np.float32(cut)
    ROOT.RDF.FromNumpy({"score": score, "selected": selected}).Snapshot(tree, output)
    return np.count_nonzero(selected), rows


def main(model, path, tree, cut, output, *flags):
    run = in_batches if "--batches" in flags else by_callback
    selected, rows = run(*open_model(model), path, tree, float(cut), output)
    print(selected, "of", rows, "rows selected")


if __name__ == "__main__":
    main(*sys.argv[1:])
