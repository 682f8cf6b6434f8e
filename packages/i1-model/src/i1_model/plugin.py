"""The components of i1-model."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_backbones() -> list[Component]:
    """Offers the backbones."""
    return [
        Component(
            "cross_attention",
            "i1_model.backbones.cross_attention:CrossAttention",
            "image tokens that read the text by cross-attention",
        ),
        Component(
            "dual_stream",
            "i1_model.backbones.dual_stream:DualStream",
            "image and text streams, joint attention; i1",
        ),
        Component(
            "single_stream",
            "i1_model.backbones.single_stream:SingleStream",
            "image and text tokens that share all weights",
        ),
    ]


@hookimpl
def i1_adapters() -> list[Component]:
    """Offers the adapters."""
    return [
        Component("mlp", "i1_model.adapters.mlp:MLPAdapter", "two dense layers per token"),
        Component(
            "transformer",
            "i1_model.adapters.transformer:TransformerAdapter",
            "transformer blocks over the text; i1",
        ),
    ]


@hookimpl
def i1_flows() -> list[Component]:
    """Offers the flow."""
    return [
        Component(
            "rectified",
            "i1_model.flow:RectifiedFlow",
            "straight paths, logit-normal or uniform times, shift; i1",
        ),
    ]


@hookimpl
def i1_text_encoders() -> list[Component]:
    """Offers the weight-free text encoder and the pretrained ones."""
    return [
        Component(
            "clip", "i1_model.text_encoders.clip:CLIPEncoder", "text tower of CLIP, weights from a folder"
        ),
        Component(
            "fg_clip2",
            "i1_model.text_encoders.fg_clip2:FGCLIP2Encoder",
            "text tower of FG-CLIP 2, short or long walk; weights from a folder",
        ),
        Component(
            "hash",
            "i1_model.text_encoders.hash:HashEncoder",
            "weight-free hashed words with positions; quoted text is spelled",
        ),
        Component("qwen3", "i1_model.text_encoders.qwen3:Qwen3Encoder", "Qwen3, weights from a folder"),
        Component(
            "qwen3_vl",
            "i1_model.text_encoders.qwen3_vl:Qwen3VLEncoder",
            "text tower of Qwen3-VL, weights from a folder",
        ),
        Component("t5", "i1_model.text_encoders.t5:T5Encoder", "encoder of T5 v1.1, weights from a folder"),
        Component(
            "t5gemma",
            "i1_model.text_encoders.t5gemma:T5GemmaEncoder",
            "encoder of T5Gemma, weights from a folder; i1",
        ),
        Component(
            "t5gemma2",
            "i1_model.text_encoders.t5gemma2:T5Gemma2Encoder",
            "text encoder of T5Gemma 2, weights from a folder",
        ),
    ]


@hookimpl
def i1_autoencoders() -> list[Component]:
    """Offers the autoencoders."""
    return [
        Component(
            "flux",
            "i1_model.autoencoders.flux:FluxAutoencoder",
            "FLUX.1's, 16 channels, factor 8; weights from a folder",
        ),
        Component(
            "flux2",
            "i1_model.autoencoders.flux:Flux2Autoencoder",
            "FLUX.2's, 32 channels, factor 8; weights from a folder; i1",
        ),
        Component(
            "patch",
            "i1_model.autoencoders.patch:PatchAutoencoder",
            "exactly invertible space-to-channel, no weights",
        ),
        Component(
            "qwen_image",
            "i1_model.autoencoders.qwen_image:QwenImageAutoencoder",
            "Qwen-Image's, 16 channels, factor 8; weights from a folder",
        ),
    ]


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 convert` and `i1 lora`."""
    return [
        Component("convert", "i1_model.conversion.cli:main", "write a model in another form"),
        Component(
            "lora", "i1_model.lora.cli:main", "show a LoRA, or write it with the keys of another program"
        ),
    ]
