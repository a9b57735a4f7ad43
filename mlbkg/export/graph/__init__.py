"""Features as nodes of an ONNX graph: computed from flat branches inside the model's file.

A feature is defined once, in numpy. Here its own ``compute``, or its expression, is called with :class:`traced.Traced`
columns, which have no values and write down as ONNX nodes what is done to them: in float64, as numpy does it, then rounded
to float32. ``+ - * /`` and ``sqrt`` give numpy's very bits, everything else is within float32's rounding of them.

How a registered feature must be written to be traced (one that is not stays an input of the graph, under its own name):

- It is arithmetic on flat columns: the daughters', the pair's, the beams', or flat branches. What needs a collection, the
  rest of the event or ``event_index`` cannot be traced.
- Only operators, numpy's ufuncs, ``np.where`` and ``np.clip`` are used (:mod:`operators` and :mod:`formulas` list the
  ufuncs). No ``if``, ``len``, ``[...]``, methods or loops over values.
- No ``np.asarray`` around a result, no ``out=``, no ``where=`` of a ufunc. Instead of ``np.divide(a, b, where=b > 0)`` write
  ``a / np.where(b > 0, b, np.nan)``.
- What it calls keeps to the same rules: :mod:`mlbkg.physics.lorentz` and :mod:`mlbkg.physics.recoil` do.

``tests/export/graph/test_registered.py`` lists which features are in the graph and which are inputs: a new one belongs to
either.
"""
