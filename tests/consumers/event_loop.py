"""One row a call, one thread, as basf2 and other event loops do it, and how long a call takes.

python event_loop.py model.onnx rows.f32 0.9534 scores.f32
"""

import sys
import time

import numpy as np
import onnxruntime

model, rows, threshold, output = sys.argv[1:]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
session = onnxruntime.InferenceSession(model, options)
X = np.fromfile(rows, dtype=np.float32).reshape(-1, session.get_inputs()[0].shape[1])

cut, selected = np.float32(threshold), 0
scores, seconds = np.empty(len(X), dtype=np.float32), np.empty(len(X))
for event in range(len(X)):
    start = time.perf_counter()
    score = session.run(["output"], {"input": X[event : event + 1]})[0][0, 0]
    seconds[event] = time.perf_counter() - start
    selected += bool(score >= cut)
    scores[event] = score

scores.tofile(output)
median, p99 = 1e6 * np.percentile(seconds, [50, 99])
print(selected, "of", len(X), "rows selected")
print(f"a call takes {median:.1f} us (median), 99 % take less than {p99:.1f} us")
