"""A fixed text encoder without weights: hashed words, spelled quotations, sinusoidal positions."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError

from i1_model.text_encoders.base import TextEncoderConfig, Tokens

_QUOTED = re.compile('["“”]([^"“”]*)["“”]')
_PIECE = re.compile(r"[A-Za-z0-9\x80-\U0010ffff]+(?:['’-][A-Za-z0-9\x80-\U0010ffff]+)*|[\x21-\x7e]")
_SLOWEST = 1 / 64


@dataclass(frozen=True, kw_only=True)
class HashEncoder(TextEncoderConfig):
    """Configuration of the hash encoder.

    Attributes:
        num_tokens: the token budget; a longer prompt is an error.
        width: channels of one embedding, a positive multiple of 16; a quarter of them carries positions.
    """

    num_tokens: int = 32
    width: int = 128

    def __post_init__(self) -> None:
        if self.num_tokens < 1:
            raise UserError(f"hash encoder: num_tokens must be at least 1, got {self.num_tokens}")
        if self.width < 16 or self.width % 16:
            raise UserError(f"hash encoder: width must be a positive multiple of 16, got {self.width}")

    def build(self) -> HashTextEncoder:
        """Returns the encoder; it has no weights to load."""
        return HashTextEncoder(self)


class HashTextEncoder:
    """Embeds each token as hashed channels beside its positions; the same on every machine and Python.

    Words are lower-cased and punctuation marks are tokens of their own. Text inside double quotes is spelled:
    one token per character, its case kept. The first three quarters of the channels are a uniform hash of
    (token, channel) with unit variance; the rest are sinusoids of unit mean square, one half of the position
    in the prompt, the other of the position inside the quotation (0 outside).
    """

    def __init__(self, config: HashEncoder) -> None:
        self.config = config
        self.params: dict[str, jax.Array] = {}

    def tokenize(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Turns prompts into token ids.

        Args:
            prompts: one or more prompts.

        Returns:
            `ids` (B, T) uint32, `mask` (B, T) bool, and `spelling` (B, T) int32: the place 1, 2, ... inside a
            quotation, 0 elsewhere.

        Raises:
            UserError: for a prompt without any token or with more than `num_tokens`.
        """
        shape = (len(prompts), self.config.num_tokens)
        ids, mask = np.zeros(shape, np.uint32), np.zeros(shape, bool)
        spelling = np.zeros(shape, np.int32)
        for row, prompt in enumerate(prompts):
            pieces = split_prompt(prompt)
            self._check(prompt, len(pieces))
            ids[row, : len(pieces)] = [token_id(text, place > 0) for text, place in pieces]
            spelling[row, : len(pieces)] = [place for _, place in pieces]
            mask[row, : len(pieces)] = True
        return {"ids": ids, "mask": mask, "spelling": spelling}

    def _check(self, prompt: str, count: int) -> None:
        limit = self.config.num_tokens
        shown = prompt if len(prompt) <= 80 else prompt[:77] + "..."
        if count == 0:
            raise UserError(
                f"prompt {shown!r} is empty: 0 tokens, the hash encoder takes 1 to {limit}; "
                "write at least one word"
            )
        if count > limit:
            raise UserError(
                f"prompt {shown!r} has {count} tokens, the hash encoder takes at most {limit}; "
                f"shorten it by {count - limit} "
                "(a word, a punctuation mark and each quoted character are one token)"
            )

    def encode(self, params: Any, tokens: Tokens) -> jax.Array:
        """Embeds token ids.

        Args:
            params: unused, the encoder has no weights.
            tokens: what `tokenize` returned.

        Returns:
            (B, T, W) float32; a masked position holds the embedding of id 0, never zeros, whose gradient
            through a normalisation is without bound.
        """
        del params
        ids = jnp.asarray(tokens["ids"], jnp.uint32)
        num_positions = self.config.width // 8
        hashed = hash_channels(ids, self.config.width - 2 * num_positions)
        places = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32)[None], ids.shape)
        spelling = jnp.asarray(tokens["spelling"], jnp.int32)
        features = [hashed, sinusoids(places, num_positions), sinusoids(spelling, num_positions)]
        return jnp.concatenate(features, axis=-1)


def split_prompt(prompt: str) -> list[tuple[str, int]]:
    """Splits a prompt into tokens.

    Returns:
        (text, place) pairs; place counts 1, 2, ... inside a quotation and is 0 elsewhere, also for the
        quotation marks, which become `"`. An unmatched quotation mark is ordinary punctuation.
    """
    pieces: list[tuple[str, int]] = []
    end = 0
    for quoted in _QUOTED.finditer(prompt):
        pieces += _split_words(prompt[end : quoted.start()])
        spelled = [(character, place) for place, character in enumerate(quoted[1], start=1)]
        pieces += [('"', 0), *spelled, ('"', 0)]
        end = quoted.end()
    return pieces + _split_words(prompt[end:])


def _split_words(text: str) -> list[tuple[str, int]]:
    return [(piece.lower(), 0) for word in text.split() for piece in _PIECE.findall(word)]


@functools.lru_cache(maxsize=1 << 16)
def token_id(text: str, spelled: bool) -> int:
    """Returns the 32-bit id of a token: the first four bytes, little-endian, of its blake2b digest.

    A spelled character and a word of one letter have different ids.
    """
    data = ("character:" if spelled else "word:") + text
    digest = hashlib.blake2b(data.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def hash_channels(ids: jax.Array, num_channels: int) -> jax.Array:
    """Hashes (id, channel) to values uniform in [-sqrt(3), sqrt(3)), so of mean 0 and variance 1.

    The mixing is MurmurHash3's 32-bit finaliser, applied twice (https://github.com/aappleby/smhasher); the
    top 24 bits become the value, exactly in float32.

    Args:
        ids: (...) uint32.
        num_channels: C.

    Returns:
        (..., C) float32.
    """
    channels = jnp.arange(1, num_channels + 1, dtype=jnp.uint32) * jnp.uint32(0x9E3779B1)
    channels = jnp.expand_dims(channels, tuple(range(ids.ndim)))
    mixed = _mix(_mix(ids)[..., None] ^ channels)
    return ((mixed >> 8).astype(jnp.float32) * 2.0**-23 - 1.0) * math.sqrt(3.0)


def _mix(value: jax.Array) -> jax.Array:
    value = (value ^ (value >> 16)) * jnp.uint32(0x85EBCA6B)
    value = (value ^ (value >> 13)) * jnp.uint32(0xC2B2AE35)
    return value ^ (value >> 16)


def sinusoids(places: jax.Array, num_channels: int) -> jax.Array:
    """Returns sqrt(2) times the sines, then the cosines, of places at geometric frequencies.

    The frequencies run from 1 down towards 1/64, so that places up to 64 * pi stay apart.

    Args:
        places: (...) int32.
        num_channels: C, even.

    Returns:
        (..., C) float32 with mean square 1.
    """
    half = num_channels // 2
    frequencies = np.array([_SLOWEST ** (i / half) for i in range(half)], np.float32)
    frequencies = jnp.expand_dims(jnp.asarray(frequencies), tuple(range(places.ndim)))
    angles = places.astype(jnp.float32)[..., None] * frequencies
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1) * math.sqrt(2.0)
