"""The building blocks that backbones and adapters share."""

from i1_model.layers.feed_forward import FeedForwardName, GeluMLP, SwiGLU, make_feed_forward
from i1_model.layers.linear import Linear
from i1_model.layers.norms import LayerNorm, NormName, RMSNorm, make_norm
from i1_model.layers.self_attention import SelfAttention, merge_heads, split_heads
from i1_model.layers.stack import BlockStack, LayersName
from i1_model.ops.remat import RematName

__all__ = [
    "BlockStack",
    "FeedForwardName",
    "GeluMLP",
    "LayerNorm",
    "LayersName",
    "Linear",
    "NormName",
    "RMSNorm",
    "RematName",
    "SelfAttention",
    "SwiGLU",
    "make_feed_forward",
    "make_norm",
    "merge_heads",
    "split_heads",
]
