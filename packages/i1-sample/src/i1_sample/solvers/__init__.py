"""Integrators of the sampling ODE dx/dt = v(x, t) from noise (t = 0) to data (t = 1)."""

from i1_sample.solvers.base import SolverConfig, Velocity

__all__ = ["SolverConfig", "Velocity"]
