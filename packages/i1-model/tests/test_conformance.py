"""The built-in adapters and backbones in the suites that plugin authors use."""

import jax
import pytest
from i1_hooks import UserError
from i1_model.adapters import MLPAdapter, TransformerAdapter
from i1_model.backbones import CrossAttention, DualStream, SingleStream
from i1_model.testing.adapters import AdapterSuite
from i1_model.testing.backbones import BackboneSuite

SMALL = {"hidden_width": 16, "num_heads": 2, "depth": 3}


class TestMLPAdapter(AdapterSuite):
    component = MLPAdapter()


class TestTransformerAdapter(AdapterSuite):
    component = TransformerAdapter(num_blocks=2, num_heads=2)

    def test_sizes_that_do_not_fit(self):
        with pytest.raises(UserError, match=r"num_heads 3.*16"):
            TransformerAdapter(num_heads=3).build(10, 16, jax.random.key(0))
        with pytest.raises(UserError, match="num_blocks 0"):
            TransformerAdapter(num_blocks=0).build(10, 16, jax.random.key(0))


class TestDualStream(BackboneSuite):
    component = DualStream(**SMALL, layers="scan")


class TestDualStreamModulated(BackboneSuite):
    component = DualStream(**SMALL, adaln="time_and_text", long_skip=False)


class TestSingleStream(BackboneSuite):
    component = SingleStream(**SMALL, refiner_layers=1, layers="scan")


class TestCrossAttention(BackboneSuite):
    component = CrossAttention(**SMALL, adaln="time", layers="scan")
