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
    config = MLPAdapter()


class TestTransformerAdapter(AdapterSuite):
    config = TransformerAdapter(num_blocks=2, num_heads=2)

    def test_sizes_that_do_not_fit(self):
        with pytest.raises(UserError, match=r"num_heads 3.*16"):
            TransformerAdapter(num_heads=3).build(10, 16, jax.random.key(0))
        with pytest.raises(UserError, match="num_blocks 0"):
            TransformerAdapter(num_blocks=0).build(10, 16, jax.random.key(0))


class TestDualStream(BackboneSuite):
    config = DualStream(**SMALL, layers="scan")


class TestDualStreamModulated(BackboneSuite):
    config = DualStream(**SMALL, adaln="time_and_text", long_skip=False)


class TestSingleStream(BackboneSuite):
    config = SingleStream(**SMALL, refiner_layers=1, layers="scan")


class TestCrossAttention(BackboneSuite):
    config = CrossAttention(**SMALL, adaln="time", layers="scan")
