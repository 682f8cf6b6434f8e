"""Frozen maps between pixels and latents."""

from i1_model.autoencoders.base import Autoencoder, AutoencoderConfig

__all__ = ["Autoencoder", "AutoencoderConfig"]
