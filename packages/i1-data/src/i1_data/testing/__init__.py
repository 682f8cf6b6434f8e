"""Conformance suites for authors of components."""

from i1_data.testing.rules import CaptionerSuite, FilterSuite, MixingSuite
from i1_data.testing.sources import SourceSuite

__all__ = ["CaptionerSuite", "FilterSuite", "MixingSuite", "SourceSuite"]
