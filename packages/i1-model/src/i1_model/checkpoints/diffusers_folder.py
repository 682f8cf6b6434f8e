"""The JSON files and the model card of a Hub repository in the layout of diffusers."""

from __future__ import annotations

from i1_hooks import UserError

from i1_model.arrays.json_object import JsonObject
from i1_model.backbones import DualStream
from i1_model.config import ModelConfig

TRANSFORMER_CLASS = "ZlabI1Transformer2DModel"
PIPELINE_CLASS = "ZlabI1Pipeline"
SCHEDULER_CLASS = "FlowMatchEulerDiscreteScheduler"
PUBLISHED_SHIFT = 0.3


def released_config(config: ModelConfig) -> JsonObject:
    """Returns the fields that the released `.pt` files hold under `config`.

    Raises:
        UserError: for a model that is not of i1's architecture.
    """
    backbone = config.backbone
    if not isinstance(backbone, DualStream) or len(config.text_encoders) != 1:
        raise UserError("only i1's own architecture, dual_stream with one text encoder, has a PyTorch form")
    return {
        "input_size": config.latent_spec.height,
        "image_resolution": config.resolution,
        "patch_size": backbone.patch_size,
        "in_channels": config.autoencoder.channels,
        "hidden_size": backbone.hidden_width,
        "depth": backbone.depth,
        "num_heads": backbone.num_heads,
        "mlp_ratio": backbone.mlp_ratio,
        "text_embed_dim": config.text_encoders[0].width,
        "text_num_tokens": config.text_encoders[0].num_tokens,
        "rope_theta": backbone.rope_theta,
    }


def transformer_config(config: ModelConfig, record: JsonObject) -> JsonObject:
    """Returns `transformer/config.json`; `i1` holds the record of the model, from which it is read back."""
    fields = released_config(config)
    head_dim = fields["hidden_size"] // fields["num_heads"]
    return {"_class_name": TRANSFORMER_CLASS, **fields, "head_dim": head_dim, "i1": record}


def model_index() -> JsonObject:
    """Returns `model_index.json`; the gated text encoder and autoencoder are not part of the repository."""
    return {
        "_class_name": PIPELINE_CLASS,
        "scheduler": ["diffusers", SCHEDULER_CLASS],
        "text_encoder": [None, None],
        "tokenizer": [None, None],
        "transformer": ["diffusers", TRANSFORMER_CLASS],
        "vae": [None, None],
    }


def scheduler_config(shift: float) -> JsonObject:
    """Returns `scheduler/scheduler_config.json`, which states that time runs from noise to data.

    diffusers' sigma is 1 at noise, so ours is `t = 1 - sigma`. With `invert_sigmas` its scheduler walks `1 -
    sigma` upwards, and adding `(t_next - t) v` with our velocity `data - noise` is its step. A shift s of t
    is the shift 1 / s of sigma.

    Args:
        shift: the shift s of the time grid; 0 and 1 leave the grid uniform.
    """
    return {
        "_class_name": SCHEDULER_CLASS,
        "num_train_timesteps": 1000,
        "shift": 1 / shift if shift else 1.0,
        "use_dynamic_shifting": False,
        "invert_sigmas": True,
        "flow_direction": {
            "time": "t = 0 is noise, t = 1 is data; diffusers counts sigma = 1 - t",
            "model_input": "t, not a timestep of 0 to 1000",
            "velocity": "data - noise; diffusers' flow models predict noise - data",
        },
    }


def model_card(title: str, config: ModelConfig, num_parameters: int, shift: float) -> str:
    """Returns `README.md` with the metadata that the Hub reads.

    Args:
        title: the name of the model.
        config: the model.
        num_parameters: the number of parameters of the transformer.
        shift: as for `scheduler_config`.
    """
    encoder, autoencoder = (
        getattr(part, "repository", type(part).__name__)
        for part in (config.text_encoders[0], config.autoencoder)
    )
    return f"""---
license: other
license_name: see-the-source-of-the-weights
pipeline_tag: text-to-image
library_name: i1-sample
tags:
- text-to-image
- flow-matching
- diffusers
---

# {title}

A text-to-image model of the i1 architecture: {num_parameters:,} parameters, {config.resolution} pixels,
written by `i1 convert --to diffusers`.

| part | is |
| --- | --- |
| `transformer/` | the denoiser, averaged weights, with the parameter names of the released PyTorch form |
| `scheduler/` | the time grid |
| text encoder | {encoder}, not in this repository |
| autoencoder | {autoencoder}, not in this repository |

Time runs from noise (t = 0) to data (t = 1), and the velocity is `data - noise`: the opposite of diffusers,
which `scheduler/scheduler_config.json` states with `invert_sigmas`. The time grid has shift {shift:g}.

    pip install 'i1-sample[hub]'
    i1 sample "a lighthouse at dusk" --model PATH_OR_REPOSITORY

The licence is that of the weights' source; write it into the metadata above before publishing.
"""
