"""The components of i1-model."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_text_encoders() -> list[Component]:
    """Offers the text encoder that needs no weights."""
    return [
        Component(
            "hash",
            "i1_model.text_encoders.hash:HashEncoder",
            "weight-free hashed words with positions; quoted text is spelled",
        ),
    ]


@hookimpl
def i1_autoencoders() -> list[Component]:
    """Offers the autoencoder that needs no weights."""
    return [
        Component(
            "patch",
            "i1_model.autoencoders.patch:PatchAutoencoder",
            "exactly invertible space-to-channel, no weights",
        ),
    ]
