"""Hooks for what i1-model is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_backbones() -> Iterable[Component]:
    """Returns backbones: networks that predict the flow target from noisy latents and text.

    Each is an `i1_model.backbones.BackboneConfig`.

    Example:
        from dataclasses import dataclass

        import jax
        import jax.numpy as jnp
        from i1_hooks import Component, hookimpl
        from i1_model.backbones import Backbone, BackboneConfig
        from i1_model.layers import Linear


        class PixelNetModule(Backbone):
            def __init__(self, config, spec, key):
                key_embed, key_head = jax.random.split(key)
                self.embed = Linear(spec.channels + 1, config.hidden_width, key_embed)
                self.head = Linear(config.hidden_width, spec.channels, key_head)

            def __call__(self, latents, time, conditioning):
                weight = conditioning.mask[..., None].astype(conditioning.tokens.dtype)
                text = (conditioning.tokens * weight).sum(1) / jnp.maximum(weight.sum(1), 1)
                clock = jnp.broadcast_to(time[:, None, None, None], (*latents.shape[:3], 1))
                hidden = self.embed(jnp.concatenate([latents, clock.astype(latents.dtype)], -1))
                return self.head(jax.nn.gelu(hidden + text[:, None, None])).astype(jnp.float32)


        @dataclass(frozen=True, kw_only=True)
        class PixelNet(BackboneConfig):
            '''One hidden layer at each latent position, moved by the mean text token.'''

            hidden_width: int = 64

            def build(self, spec, key):
                return PixelNetModule(self, spec, key)


        @hookimpl
        def i1_backbones():
            return [Component("pixel_net", f"{__name__}:PixelNet", "one hidden layer per position")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_adapters() -> Iterable[Component]:
    """Returns adapters: networks between a text encoder and the backbone.

    Each is an `i1_model.adapters.AdapterConfig`.

    Example:
        from dataclasses import dataclass

        from i1_hooks import Component, hookimpl
        from i1_model.adapters import Adapter, AdapterConfig
        from i1_model.layers import Linear


        class LinearAdapterModule(Adapter):
            def __init__(self, text_width, hidden_width, key):
                self.dense = Linear(text_width, hidden_width, key)

            def __call__(self, tokens, mask):
                return self.dense(tokens)


        @dataclass(frozen=True, kw_only=True)
        class LinearAdapter(AdapterConfig):
            '''One dense layer on every token.'''

            def build(self, text_width, hidden_width, key):
                return LinearAdapterModule(text_width, hidden_width, key)


        @hookimpl
        def i1_adapters():
            return [Component("linear", f"{__name__}:LinearAdapter", "one dense layer")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_text_encoders() -> Iterable[Component]:
    """Returns text encoders: frozen encoders from prompts to token embeddings.

    Each is an `i1_model.text_encoders.TextEncoderConfig`.

    Example:
        from dataclasses import dataclass

        import jax
        import numpy as np
        from i1_hooks import Component, UserError, hookimpl
        from i1_model.text_encoders import TextEncoderConfig


        class Bytes:
            def __init__(self, config):
                self.config = config
                self.params = jax.random.normal(jax.random.key(0), (256, config.width))

            def tokenize(self, prompts):
                ids = np.zeros((len(prompts), self.config.num_tokens), np.int32)
                mask = np.zeros(ids.shape, bool)
                for row, prompt in enumerate(prompts):
                    data = prompt.encode()
                    if not 0 < len(data) <= self.config.num_tokens:
                        limit = f"use 1 to {self.config.num_tokens}"
                        raise UserError(f"prompt {prompt!r} has {len(data)} bytes: {limit}")
                    ids[row, : len(data)] = list(data)
                    mask[row, : len(data)] = True
                return {"ids": ids, "mask": mask}

            def encode(self, params, tokens):
                return params[tokens["ids"]]


        @dataclass(frozen=True, kw_only=True)
        class ByteEncoder(TextEncoderConfig):
            '''UTF-8 bytes, each a fixed random vector.'''

            num_tokens: int = 64
            width: int = 32

            def build(self):
                return Bytes(self)


        @hookimpl
        def i1_text_encoders():
            return [Component("bytes", f"{__name__}:ByteEncoder", "UTF-8 bytes as random vectors")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_autoencoders() -> Iterable[Component]:
    """Returns autoencoders: frozen maps between pixels and latents.

    Each is an `i1_model.autoencoders.AutoencoderConfig`.

    Example:
        from dataclasses import dataclass, field

        import jax.numpy as jnp
        from i1_hooks import Component, hookimpl
        from i1_model.autoencoders import AutoencoderConfig


        class Mean:
            def __init__(self, factor):
                self.factor = factor
                self.params = {}

            def encode(self, params, images, key=None):
                batch, height, width, _ = images.shape
                f = self.factor
                return images.reshape(batch, height // f, f, width // f, f, 3).mean((2, 4))

            def decode(self, params, latents):
                return jnp.repeat(jnp.repeat(latents, self.factor, 1), self.factor, 2)


        @dataclass(frozen=True, kw_only=True)
        class MeanAutoencoder(AutoencoderConfig):
            '''The mean colour of every patch.'''

            factor: int = 4
            channels: int = field(init=False, default=3)

            def build(self):
                return Mean(self.factor)


        @hookimpl
        def i1_autoencoders():
            return [Component("mean", f"{__name__}:MeanAutoencoder", "the mean colour of every patch")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_flows() -> Iterable[Component]:
    """Returns flows: interpolant, training time law and prediction target.

    Each is an `i1_model.flow.FlowConfig`.

    Example:
        from dataclasses import dataclass

        import jax
        from i1_hooks import Component, hookimpl
        from i1_model.flow import RectifiedFlow


        @dataclass(frozen=True, kw_only=True)
        class PowerLaw(RectifiedFlow):
            '''Straight paths with t = u ** power: above 1, more times near the noise.'''

            power: float = 2.0

            def sample_times(self, key, batch):
                return jax.random.uniform(key, (batch,)) ** self.power


        @hookimpl
        def i1_flows():
            return [Component("power", f"{__name__}:PowerLaw", "times u ** power")]
    """
    raise AssertionError("a specification is never called")
