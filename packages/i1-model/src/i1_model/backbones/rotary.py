"""Three-axis rotary positions of backbones that join image and text tokens."""

from __future__ import annotations

from dataclasses import dataclass

from i1_hooks import UserError
from jax import Array

from i1_model.backbones.base import LatentSpec
from i1_model.backbones.patch_transformer import PatchTransformerConfig
from i1_model.layers.limits import MAX_TOKENS, check_size
from i1_model.layers.rope import RotaryTable, default_axes, joint_table


@dataclass(frozen=True, kw_only=True)
class RotaryConfig(PatchTransformerConfig):
    """Options of the three rotary axes (sequence, row, column).

    Attributes:
        rope_axes_dims: features per axis, each even, whose sum is the head width; None for a half and two
            quarters of it.
        rope_axes_lens: positions per axis, beyond which they are clipped; None for (text tokens + 1, rows,
            columns).
    """

    rope_axes_dims: tuple[int, int, int] | None = None
    rope_axes_lens: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for axis in self.rope_axes_dims or ():
            check_size("backbone rope_axes_dims", axis, smallest=0)
        for length in self.rope_axes_lens or ():
            check_size("backbone rope_axes_lens", length, largest=MAX_TOKENS)

    def check(self, spec: LatentSpec) -> None:
        """Checks that the options fit together and the sizes of the latents.

        Raises:
            UserError: otherwise.
        """
        super().check(spec)
        axes = self.rope_axes_dims
        if axes is not None and (sum(axes) != self.head_dim or any(axis % 2 for axis in axes)):
            raise UserError(
                f"rope_axes_dims {axes}: use three even numbers whose sum is the head width {self.head_dim}"
            )


def joint_rotary_table(
    config: RotaryConfig, spec: LatentSpec, grid: tuple[int, int], scale: float, mask: Array
) -> RotaryTable | None:
    """Returns the table of [image, text] tokens for the text mask (B, L); None without rotary positions."""
    if config.positions == "sinusoidal_only":
        return None
    return joint_table(
        mask,
        grid,
        config.rope_axes_dims or default_axes(config.head_dim),
        config.rope_axes_lens or (spec.num_text_tokens * (2 if config.repeat_text else 1) + 1, *grid),
        theta=config.rope_theta,
        scale=scale,
    )
