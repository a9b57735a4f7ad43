"""Scores and decisions of float32 rows through ONNX Runtime.

    python score.py model.onnx rows.f32 0.9534 scores.f32

rows.f32: one row after the other, the features in the order of ``mlbkg inspect model.onnx``.
"""

import sys

import numpy as np
import onnxruntime

model, rows, threshold, output = sys.argv[1:]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # with more, small batches may differ in the last bit
session = onnxruntime.InferenceSession(model, options)
X = np.fromfile(rows, dtype=np.float32).reshape(-1, session.get_inputs()[0].shape[1])
scores = session.run(["output"], {"input": X})[0][:, 0]

scores.tofile(output)
print(np.count_nonzero(scores >= np.float32(threshold)), "of", len(scores), "rows selected")
