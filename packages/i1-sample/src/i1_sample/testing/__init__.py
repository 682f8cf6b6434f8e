"""Conformance suites for authors of solvers, time grids, guidances and rewriters."""
