"""Scores of an ntuple through basf2's method ONNX, from a weightfile that mlbkg wrote. Only this program needs basf2.

    mlbkg export model.onnx weights.xml --form basf2
    python3 basf2_expert.py weights.xml ntuple.root events 0.9534 scores.f32

The ntuple has ``isSignal``, as basf2's MVA package wants it from ntuples (0 will do), and a branch for each variable. In a
path, for the particles of a list, the same weightfile gives ``extraInfo(notBackground)``:

    path.add_module("MVAExpert", listNames=["Upsilon"], extraInfoName="notBackground", identifier="weights.xml")
"""

import sys

import numpy as np
from basf2_mva_util import Method

weights, ntuple, tree, threshold, output = sys.argv[1:]

scores = np.asarray(Method(weights).apply_expert([ntuple], tree)[0], dtype=np.float32)

scores.tofile(output)
print(np.count_nonzero(scores >= np.float32(threshold)), "of", len(scores), "rows selected")
