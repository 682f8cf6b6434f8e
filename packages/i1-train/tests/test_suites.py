"""The built-ins run the suites that authors run."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.flow import RectifiedFlow
from i1_train.loggers.jsonl import Jsonl
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.objectives import FlowMatching
from i1_train.optimizers.adafactor import Adafactor
from i1_train.optimizers.adam import Adam
from i1_train.optimizers.muon import Muon
from i1_train.schedules import Constant, WarmRestart, WarmupCosine, WarmupStableDecay
from i1_train.testing import LoggerSuite, ObjectiveSuite, OptimizerSuite, ScheduleSuite


class TestFlowMatching(ObjectiveSuite):
    component = FlowMatching()


class TestFlowMatchingOfData(ObjectiveSuite):
    component = FlowMatching()
    flow = RectifiedFlow(prediction="x", time_law="uniform")

    def test_the_data_itself_has_no_loss(self):
        example = self._draw()
        np.testing.assert_allclose(self.component.losses(self.flow, example["data"], example), 0, atol=1e-6)


class TestAdam(OptimizerSuite):
    component = Adam(weight_decay=0.01)


class TestMuon(OptimizerSuite):
    component = Muon(weight_decay=0.01)

    def test_every_layer_is_orthogonalised_by_itself(self):
        """Orthogonal updates of one matrix of a stack do not depend on the other."""
        update, init = self._update(1.0)
        params, grads = self._arrays(0), self._arrays(1)
        path = "blocks/stacked/mlp/kernel"
        updates, _ = update(grads, init(params), params)
        other = {**grads, path: grads[path].at[1].mul(100.0)}
        updates_other, _ = update(other, init(params), params)
        np.testing.assert_allclose(updates[path][0], updates_other[path][0], atol=1e-5)
        decay = 0.01 * params[path]
        singular = np.linalg.svd(np.asarray(updates[path] + decay), compute_uv=False)
        expected = 0.2 * math.sqrt(8)
        assert (singular > 0.6 * expected).all()
        assert (singular < 1.3 * expected).all()

    def test_the_first_layer_follows_adam(self):
        update, init = self._update(1.0)
        params, grads = self._arrays(0), self._arrays(1)
        updates, _ = update(grads, init(params), params)
        path = "x_embedder/proj/kernel"
        np.testing.assert_allclose(updates[path], -jnp.sign(grads[path]) - 0.01 * params[path], rtol=1e-3)


class TestAdafactor(OptimizerSuite):
    component = Adafactor(weight_decay=0.01, min_dim_size_to_factor=4)


class TestConstant(ScheduleSuite):
    component = Constant(warmup=10)

    def test_values(self):
        schedule = Constant(lr=2.0, warmup=4).build(10)
        rates = [float(schedule(jnp.int32(step))) for step in range(6)]
        np.testing.assert_allclose(rates, [0.5, 1.0, 1.5, 2.0, 2.0, 2.0])


class TestWarmupCosine(ScheduleSuite):
    component = WarmupCosine(warmup=10)

    def test_values(self):
        schedule = WarmupCosine(lr=2.0, warmup=4, final_lr=1.0).build(12)
        rates = [float(schedule(jnp.int32(step))) for step in (0, 4, 8, 12)]
        np.testing.assert_allclose(rates, [0.5, 2.0, 1.5, 1.0], rtol=1e-6)


class TestWarmupStableDecay(ScheduleSuite):
    component = WarmupStableDecay(warmup=10, decay=0.2)

    def test_values(self):
        schedule = WarmupStableDecay(lr=2.0, warmup=2, decay=0.4, final_lr=1.0).build(10)
        rates = [float(schedule(jnp.int32(step))) for step in (0, 1, 6, 7, 8, 10)]
        np.testing.assert_allclose(rates, [1.0, 2.0, 2.0, 1.75, 1.5, 1.0])

    def test_a_run_shorter_than_the_warm_up_has_a_rate(self):
        schedule = WarmupStableDecay(lr=1.0, warmup=100, decay=0.5).build(10)
        rates = [float(schedule(jnp.int32(step))) for step in (0, 4, 9)]
        np.testing.assert_allclose(rates, [0.01, 0.05, 0.1 * 0.2], rtol=1e-6)

    def test_a_tail_longer_than_the_run_is_a_mistake(self):
        with pytest.raises(UserError, match="decay is a fraction of the run from 0 to 1, got 20"):
            WarmupStableDecay(decay=20)


class TestWarmRestart(ScheduleSuite):
    component = WarmRestart(first=WarmupCosine(warmup=2), share=0.4, then=WarmupStableDecay(warmup=5))

    def test_values(self):
        first, then = WarmupStableDecay(lr=2.0, warmup=2, decay=1.0), Constant(lr=1.0, warmup=2)
        schedule = WarmRestart(first=first, share=0.6, then=then).build(10)
        rates = [float(schedule(jnp.int32(step))) for step in range(10)]
        np.testing.assert_allclose(rates[:6], [1.0, 10 / 6, 8 / 6, 1.0, 4 / 6, 2 / 6], rtol=1e-6)
        np.testing.assert_allclose(rates[6:], [0.5, 1.0, 1.0, 1.0])

    def test_a_share_that_leaves_one_part_empty_is_a_mistake(self):
        with pytest.raises(UserError, match="above 0 and below 1, got 1"):
            WarmRestart(share=1)


class TestJsonl(LoggerSuite):
    component = Jsonl()


class TestTensorBoard(LoggerSuite):
    component = TensorBoard(every=1)
