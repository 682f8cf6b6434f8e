from i1_sample.solvers.multistep import AdamsBashforth2, AdamsBashforth3, DPMSolverPP2M
from i1_sample.solvers.one_step import Euler, Heun, Midpoint, RungeKutta4
from i1_sample.testing.solvers import SolverSuite


class TestEuler(SolverSuite):
    solver = Euler()


class TestHeun(SolverSuite):
    solver = Heun()


class TestMidpoint(SolverSuite):
    solver = Midpoint()


class TestRungeKutta4(SolverSuite):
    solver = RungeKutta4()


class TestAdamsBashforth2(SolverSuite):
    solver = AdamsBashforth2()


class TestAdamsBashforth3(SolverSuite):
    solver = AdamsBashforth3()


class TestDPMSolverPP2M(SolverSuite):
    solver = DPMSolverPP2M()
    order_until = 0.9
