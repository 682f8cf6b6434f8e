"""A fixed text encoder without parameters: hashed words, spelled quotations, sinusoidal positions."""

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
from jaxtyping import Float

from i1_model.text_encoders.base import TextEncoderConfig, Tokens
from i1_model.text_encoders.tokenizer import shorten, warn_truncated

_QUOTED = re.compile('["“”]([^"“”]*)["“”]')
_PIECE = re.compile(r"[A-Za-z0-9\x80-\U0010ffff]+(?:['’-][A-Za-z0-9\x80-\U0010ffff]+)*|[\x21-\x7e]")
_SLOWEST = 1 / 64
MAX_TOKENS = 2**16
MAX_WIDTH = 2**16


@dataclass(frozen=True, kw_only=True)
class HashEncoder(TextEncoderConfig):
    """Configuration of the hash encoder.

    Attributes:
        num_tokens: the token budget of a prompt.
        width: channels of one embedding, a positive multiple of 16; a quarter of them holds positions.
        truncation: whether a prompt of more tokens is cut to the budget, with a warning; otherwise it is an
            error.
    """

    num_tokens: int = 32
    width: int = 128
    truncation: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.num_tokens <= MAX_TOKENS:
            raise UserError(f"hash encoder: num_tokens must be from 1 to {MAX_TOKENS}, got {self.num_tokens}")
        if not 16 <= self.width <= MAX_WIDTH or self.width % 16:
            raise UserError(
                f"hash encoder: width must be a positive multiple of 16 up to {MAX_WIDTH}, got {self.width}"
            )

    def build(self) -> HashTextEncoder:
        """Returns the encoder; it has no files to load."""
        return HashTextEncoder(self)


class HashTextEncoder:
    """Embeds each token as hashed channels followed by its positions, equal on every machine and Python.

    Words are lower-cased and punctuation marks are tokens of their own. Text inside double quotes is spelled:
    one token per character, its case kept. The first three quarters of the channels are a uniform hash of
    (token, channel) with unit variance. The rest are sinusoids of unit mean square: one half of the position
    in the prompt, the other half of the position inside the quotation (0 outside).
    """

    def __init__(self, config: HashEncoder) -> None:
        self.config = config
        self.params: dict[str, jax.Array] = {}

    def tokenize(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Turns prompts into token ids.

        Args:
            prompts: any number of prompts. An empty one has no valid token.

        Returns:
            `ids` (B, T) uint32, `mask` (B, T) bool, and `spelling` (B, T) int32: the place 1, 2, ... inside a
            quotation, 0 elsewhere.

        Raises:
            UserError: for a prompt of more than `num_tokens` tokens, unless `truncation` is set.
        """
        limit = self.config.num_tokens
        shape = (len(prompts), self.config.num_tokens)
        ids, mask = np.zeros(shape, np.uint32), np.zeros(shape, bool)
        spelling = np.zeros(shape, np.int32)
        lost: list[int] = []
        for row, prompt in enumerate(prompts):
            pieces = split_prompt(prompt)
            lost.append(max(0, len(pieces) - limit))
            if lost[-1] and not self.config.truncation:
                raise UserError(
                    f"prompt {shorten(prompt)!r} has {len(pieces)} tokens, the hash encoder takes at most "
                    f"{limit}: shorten it by {lost[-1]} (a word, a mark and each quoted character "
                    "are one token), set num_tokens higher, or set truncation=true to cut long prompts"
                )
            pieces = pieces[:limit]
            ids[row, : len(pieces)] = [token_id(text, place > 0) for text, place in pieces]
            spelling[row, : len(pieces)] = [place for _, place in pieces]
            mask[row, : len(pieces)] = True
        warn_truncated(prompts, lost, limit)
        return {"ids": ids, "mask": mask, "spelling": spelling}

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds token ids.

        Args:
            params: not read, since the encoder has no parameters.
            tokens: what `tokenize` returned.

        Returns:
            (B, T, W) float32. A masked position holds the embedding of id 0; the gradient of a normalisation
            at zeros would have no bound.
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
