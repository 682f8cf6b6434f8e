"""Combinations of the conditional and the unconditional velocity."""

from i1_sample.guidances.base import GuidanceConfig, NoGuidance

__all__ = ["GuidanceConfig", "NoGuidance"]
