"""Apply an ONNX model to any number of candidates."""
