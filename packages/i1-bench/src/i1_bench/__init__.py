"""Benchmarks, judges, scoring and reports for text-to-image models."""
