"""Frozen encoders from prompts to token embeddings."""

from i1_model.text_encoders.base import TextEncoder, TextEncoderConfig

__all__ = ["TextEncoder", "TextEncoderConfig"]
