"""Trained classifiers as checked ONNX models."""
