"""Conformance suites for authors of components."""
