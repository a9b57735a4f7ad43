"""What an ONNX file of unknown origin must be before ONNX Runtime, or anything else in C++, sees it."""
