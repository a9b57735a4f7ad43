"""Toy Monte Carlo: generator, beams, parametric detector, ROOT events."""
