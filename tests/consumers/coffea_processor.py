"""Scores in a coffea processor, of candidates in events or of flat rows.

    python coffea_processor.py model.onnx ntuple.root events 0.9534 scores

``scores/<first entry>.npy`` has the scores of a chunk, candidate by candidate. A processor travels to Dask workers: it has
the model's path, and each worker opens the session once.
"""

import functools
import json
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import onnxruntime
from coffea import processor
from coffea.nanoevents import BaseSchema


@functools.cache
def open_model(path):
    """A session on one thread, and the branches of its features in the order of its input."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # workers have one each; with more, small batches may differ in the last bit
    session = onnxruntime.InferenceSession(path, options)
    features = json.loads(session.get_modelmeta().custom_metadata_map["mlbkg.features"])
    return session, [feature["column"] or feature["name"] for feature in features]


def score(path, events):
    """An array with the structure of the branches: a number for each row, or a list of them for each event."""
    session, branches = open_model(path)
    columns = [events[branch] for branch in branches]
    X = np.column_stack([ak.to_numpy(ak.flatten(column, axis=None)).astype(np.float32) for column in columns])
    scores = session.run(["output"], {"input": X})[0][:, 0]
    return ak.unflatten(scores, ak.num(columns[0])) if columns[0].ndim == 2 else ak.Array(scores)


class Selection(processor.ProcessorABC):
    def __init__(self, model, cut, folder):
        self.model, self.cut, self.folder = model, np.float32(cut), folder

    def process(self, events):
        scores = score(self.model, events)
        selected = scores >= self.cut
        flat = ak.to_numpy(ak.flatten(scores, axis=None))
        np.save(Path(self.folder) / f"{events.metadata['entrystart']}.npy", flat)
        return {"candidates": len(flat), "selected": int(ak.sum(selected, axis=None))}

    def postprocess(self, accumulator):
        pass


def main(model, path, tree, cut, folder):
    Path(folder).mkdir(exist_ok=True)
    run = processor.Runner(processor.IterativeExecutor(status=False), schema=BaseSchema, chunksize=50_000)
    found = run({"ntuple": {"files": {path: tree}}}, Selection(model, float(cut), folder))
    print(found["selected"], "of", found["candidates"], "rows selected")


if __name__ == "__main__":
    main(*sys.argv[1:])
