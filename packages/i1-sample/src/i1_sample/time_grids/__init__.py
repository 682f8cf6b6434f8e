"""The times that a solver visits, from noise (0) to data (1)."""

from i1_sample.time_grids.base import TimeGridConfig

__all__ = ["TimeGridConfig"]
