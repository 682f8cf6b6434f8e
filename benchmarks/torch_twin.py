"""The dual-stream network of i1 in plain PyTorch, to measure against: same parameters, same output.

Module and parameter names are the released ones, so that weights are carried over by name alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

EPSILON = 1e-6
TIME_FEATURES = 256


class SwiGLU(nn.Module):
    """`w3(silu(a) * b)` with `[a, b] = w12(x)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = int(2 / 3 * 4 * width)
        self.w12 = nn.Linear(width, 2 * inner)
        self.w3 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., width) to the same."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(functional.silu(gate) * value)


def rms_norm(width: int) -> nn.RMSNorm:
    """Returns the norm over `width` features."""
    return nn.RMSNorm(width, eps=EPSILON)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Turns (B, S, W) into (B, heads, S, W / heads)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


class SelfAttention(nn.Module):
    """Attention of all tokens to all, without positions."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.q_norm = rms_norm(width // num_heads)
        self.k_norm = rms_norm(width // num_heads)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, S, width) to the same."""
        q, k, v = (split_heads(part, self.num_heads) for part in self.qkv(x).chunk(3, dim=-1))
        out = functional.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)
        return self.proj(out.transpose(1, 2).flatten(2))


class Adapter(nn.Module):
    """`connector_in`, then two transformer blocks over the text, padding included."""

    def __init__(self, text_width: int, width: int, num_heads: int, num_tokens: int) -> None:
        super().__init__()
        self.connector_in = nn.Linear(text_width, width)
        self.learnable_null_caption = nn.Parameter(torch.zeros(1, num_tokens, text_width))
        self.connector_norm1, self.connector_norm2 = rms_norm(width), rms_norm(width)
        self.connector_norm3, self.connector_norm4 = rms_norm(width), rms_norm(width)
        self.connector_attn = SelfAttention(width, num_heads)
        self.connector_attn2 = SelfAttention(width, num_heads)
        self.connector_mlp, self.connector_mlp2 = SwiGLU(width), SwiGLU(width)

    def forward(self, captions: Tensor, drop: Tensor) -> Tensor:
        """Maps captions (B, L, text width) to (B, L, width); rows with `drop` (B,) get the null caption."""
        x = self.connector_in(torch.where(drop[:, None, None], self.learnable_null_caption, captions))
        x = x + self.connector_attn(self.connector_norm1(x))
        x = x + self.connector_mlp(self.connector_norm2(x))
        x = x + self.connector_attn2(self.connector_norm3(x))
        return x + self.connector_mlp2(self.connector_norm4(x))


class JointAttention(nn.Module):
    """Attention over the tokens of both streams, each with its own projections."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv_image, self.qkv_text = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.proj_image, self.proj_text = nn.Linear(width, width), nn.Linear(width, width)
        self.q_norm = rms_norm(width // num_heads)
        self.k_norm = rms_norm(width // num_heads)

    def forward(
        self, image: Tensor, text: Tensor, mask: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Maps both streams to their attention outputs."""
        qkv = torch.cat([self.qkv_image(image), self.qkv_text(text)], dim=1)
        q, k, v = (split_heads(part, self.num_heads) for part in qkv.chunk(3, dim=-1))
        q, k = rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out = out.transpose(1, 2).flatten(2)
        num_image = image.shape[1]
        return self.proj_image(out[:, :num_image]), self.proj_text(out[:, num_image:])


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates adjacent pairs of the last axis of (B, heads, S, D); tables (B, 1, S, D / 2)."""
    first, second = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class Block(nn.Module):
    """Joint attention, then each stream's feed-forward part, with sandwich norms that the streams share."""

    def __init__(self, width: int, num_heads: int, *, takes_skip: bool) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3, self.norm4 = (rms_norm(width) for _ in range(4))
        self.attn = JointAttention(width, num_heads)
        self.mlp_image, self.mlp_text = SwiGLU(width), SwiGLU(width)
        if takes_skip:
            self.skip_linear_image = nn.Linear(2 * width, width)
            self.skip_linear_text = nn.Linear(2 * width, width)

    def forward(
        self, image: Tensor, text: Tensor, skip: tuple[Tensor, Tensor] | None, *table: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Maps image (B, N, width) and text (B, L, width) to the same."""
        if skip is not None:
            image = self.skip_linear_image(torch.cat([image, skip[0]], dim=-1))
            text = self.skip_linear_text(torch.cat([text, skip[1]], dim=-1))
        image_out, text_out = self.attn(self.norm1(image), self.norm1(text), *table)
        image, text = image + self.norm3(image_out), text + self.norm3(text_out)
        image = image + self.norm4(self.mlp_image(self.norm2(image)))
        return image, text + self.norm4(self.mlp_text(self.norm2(text)))


class Twin(nn.Module):
    """The whole denoiser, without AdaLN.

    Args:
        width: of the tokens.
        num_heads: of every attention.
        depth: number of blocks, odd.
        latent: height, width and channels of a latent.
        text: tokens and width of the text encoder.
    """

    def __init__(
        self, width: int, num_heads: int, depth: int, latent: tuple[int, int, int], text: tuple[int, int]
    ) -> None:
        super().__init__()
        self.latent, self.patch = latent, 2
        features = self.patch**2 * latent[2]
        self.x_embedder = nn.ModuleDict({"proj": nn.Linear(features, width)})
        num_tokens = latent[0] * latent[1] // self.patch**2
        self.register_buffer("pos_embed", torch.zeros(1, num_tokens, width))
        self.text_encoder_adapter = Adapter(text[1], width, num_heads, text[0])
        half = depth // 2
        for index in range(depth):
            self.add_module(f"blocks_{index}", Block(width, num_heads, takes_skip=index > half))
        self.depth = depth
        self.final_layer = nn.ModuleDict(
            {"norm_final": rms_norm(width), "linear": nn.Linear(width, features)}
        )

    @classmethod
    def of(cls, model: Any) -> Twin:
        """Returns the twin of an `i1_model.config.ModelConfig`, with fresh weights."""
        backbone, encoder = model.backbone, model.text_encoders[0]
        text = (encoder.num_tokens, encoder.width)
        return cls(backbone.hidden_width, backbone.num_heads, backbone.depth, model.latent_shape, text)

    def forward(
        self, latents: Tensor, captions: Tensor, mask: Tensor, drop: Tensor, cos: Tensor, sin: Tensor
    ) -> Tensor:
        """Predicts the flow target.

        Args:
            latents: (B, H, W, C).
            captions: (B, L, text width).
            mask: (B, L) bool.
            drop: (B,) bool, the rows that get the null caption.
            cos: rotary table of [image, text] tokens, (B, N + L, head_dim / 2).
            sin: the same.

        Returns:
            (B, H, W, C) float32.
        """
        rows, columns, channels = self.latent
        grid = (rows // self.patch, columns // self.patch)
        patches = latents.reshape(-1, grid[0], self.patch, grid[1], self.patch, channels).transpose(2, 3)
        image = self.x_embedder["proj"](patches.reshape(len(latents), grid[0] * grid[1], -1))
        image = image + self.pos_embed.to(image.dtype)
        text = self.text_encoder_adapter(captions, drop)
        keys = functional.pad(mask, (image.shape[1], 0), value=True)[:, None, None, :]
        table = (keys, cos[:, None], sin[:, None])
        skips: list[tuple[Tensor, Tensor]] = []
        half = self.depth // 2
        for index in range(self.depth):
            skip = skips.pop() if index > half else None
            image, text = self.get_submodule(f"blocks_{index}")(image, text, skip, *table)
            if index < half:
                skips.append((image, text))
        out = self.final_layer["linear"](self.final_layer["norm_final"](image.float()))
        out = out.reshape(-1, *grid, self.patch, self.patch, channels).transpose(2, 3)
        return out.reshape(-1, rows, columns, channels)


def load_released(twin: Twin, arrays: Mapping[str, np.ndarray]) -> None:
    """Copies arrays under released names into the twin, but for the time embedder, which nothing reads."""
    state = {}
    for name, array in arrays.items():
        if name.startswith("t_embedder/"):
            continue
        *path, last = name.split("/")
        value = torch.from_numpy(np.array(array, np.float32))
        if last == "kernel":
            value, last = value.reshape(-1, value.shape[-1]).T.contiguous(), "weight"
        elif last == "scale":
            last = "weight"
        state[".".join([*path, last])] = value
    twin.load_state_dict(state)
