"""The model that the training benchmark measures, and its model floating-point operations."""

from __future__ import annotations

from i1_data.config import DataConfig
from i1_data.scenes.source import ScenesSource
from i1_model.adapters.transformer import TransformerAdapter
from i1_model.autoencoders.patch import PatchAutoencoder
from i1_model.backbones.dual_stream import DualStream
from i1_model.config import ModelConfig
from i1_model.flow import RectifiedFlow
from i1_model.text_encoders.hash import HashEncoder
from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.config import TrainConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.optimizers.adam import Adam
from i1_train.schedules import Constant

TEXT_TOKENS = 256


def bench_config(
    hidden: int, heads: int, depth: int, batch: int, *, grid: int = 16, text_width: int = 128
) -> TrainConfig:
    """Returns a training recipe of i1's shape: dual stream, long skips, two adapter blocks, 256 text tokens.

    Args:
        hidden: width of the tokens.
        heads: of every attention.
        depth: number of blocks.
        batch: images per step.
        grid: image tokens along an edge; 16 is i1 at 256 pixels.
        text_width: channels of the text embeddings.
    """
    resolution = 8 * grid  # the patch autoencoder of factor 4 gives 48 channels, i1's has 32
    return TrainConfig(
        recipe="benchmark",
        model=ModelConfig(
            backbone=DualStream(hidden_width=hidden, num_heads=heads, depth=depth, patch_size=2),
            adapter=TransformerAdapter(num_blocks=2, num_heads=heads),
            text_encoders=(HashEncoder(num_tokens=TEXT_TOKENS, width=text_width),),
            autoencoder=PatchAutoencoder(factor=4),
            flow=RectifiedFlow(),
            resolution=resolution,
        ),
        data=DataConfig(sources=(ScenesSource(),), resolution=resolution),
        optimizer=Adam(),
        schedule=Constant(lr=1e-4),
        batch_size=batch,
        steps=1_000_000,
        checkpoints=Checkpointing(every=1_000_000),
        loggers=(Jsonl(),),
    )


def model_flops(config: TrainConfig) -> float:
    """Returns the floating-point operations of one step's matrix products, three times those forward.

    Recomputation, masks and element-wise work do not count; the last block's text stream, which nothing
    reads but as keys and values, counts as far as i1 needs it.
    """
    backbone = config.model.backbone
    assert isinstance(backbone, DualStream)
    width, depth = backbone.hidden_width, backbone.depth
    height, columns, channels = config.model.latent_shape
    image, text = height * columns // backbone.patch_size**2, TEXT_TOKENS
    inner = int(2 / 3 * int(width * backbone.mlp_ratio))
    feed = 3 * width * inner
    per_block = (image + text) * (4 * width**2 + feed) + 2 * (image + text) ** 2 * width
    last = image * (4 * width**2 + feed) + text * 2 * width**2 + 2 * image * (image + text) * width
    skips = (depth // 2 - 1) * (image + text) * 2 * width**2 + image * 2 * width**2 + text * 2 * width**2
    adapter = 2 * (text * (4 * width**2 + feed) + 2 * text**2 * width)
    adapter += text * config.model.text_encoders[0].width * width
    ends = 2 * image * backbone.patch_size**2 * channels * width
    multiply_adds = (depth - 1) * per_block + last + skips + adapter + ends
    return 3 * 2 * multiply_adds * config.batch_size
