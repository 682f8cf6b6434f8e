"""Files against the programs that own their formats; needs torch, peft and diffusers."""

import numpy as np
import pytest
from i1_model.lora.factors import Factors
from i1_model.lora.files import LORA_FILE, read_lora, write_lora
from i1_model.lora.formats import decode, encode, peft_config

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

WIDTHS = {
    "in_blocks.0.attn.qkv_image": (6, 18),
    "mid_block.mlp_text.w12": (6, 20),
    "out_blocks.1.skip_linear_image": (12, 6),
    "text_encoder_adapter.connector_attn2.qkv": (6, 18),
}


def add_layers(module):
    """Gives a torch module linear layers under the names of the released one."""
    for name, (in_width, out_width) in WIDTHS.items():
        owner, *rest = module, *name.split(".")
        for part in rest[:-1]:
            if not hasattr(owner, part):
                owner.add_module(part, torch.nn.Module())
            owner = getattr(owner, part)
        owner.add_module(rest[-1], torch.nn.Linear(in_width, out_width))
    return module


def an_adapter(alphas=(8.0, 8.0, 8.0, 3.0)):
    rng = np.random.default_rng(0)
    return {
        name: Factors(
            rng.standard_normal((widths[0], 4)).astype(np.float32),
            rng.standard_normal((4, widths[1])).astype(np.float32),
            alpha,
        )
        for (name, widths), alpha in zip(WIDTHS.items(), alphas, strict=True)
    }


def test_what_peft_saves_is_read_and_named_alike():
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=list(WIDTHS), init_lora_weights=False)
    model = peft.get_peft_model(add_layers(torch.nn.Module()), config)
    saved = {key: value.numpy() for key, value in peft.get_peft_model_state_dict(model).items()}
    adapter = decode(saved, {"lora_alpha": config.lora_alpha})
    assert adapter.keys() == WIDTHS.keys()
    module = model.base_model.model.mid_block.mlp_text.w12
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    added = (module(x) - module.base_layer(x)).detach().numpy()
    np.testing.assert_allclose(
        added, x.numpy() @ adapter["mid_block.mlp_text.w12"].product(), rtol=1e-4, atol=1e-5
    )
    ours, _ = encode(adapter, "diffusers")
    renamed = {key.replace("transformer.", "base_model.model.", 1): value for key, value in ours.items()}
    assert renamed.keys() == saved.keys()
    for key, value in saved.items():
        np.testing.assert_array_equal(renamed[key], value)


def test_peft_takes_the_configuration():
    described = peft_config(an_adapter())
    config = peft.LoraConfig(**{key: value for key, value in described.items() if key != "peft_type"})
    assert (config.r, config.lora_alpha) == (4, 8)
    assert config.alpha_pattern == {"text_encoder_adapter.connector_attn2.qkv": 3}


def test_diffusers_loads_the_file_with_its_alphas(tmp_path):
    pytest.importorskip("diffusers")
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.loaders.peft import PeftAdapterMixin
    from diffusers.models.modeling_utils import ModelMixin

    class Transformer(ModelMixin, ConfigMixin, PeftAdapterMixin):
        @register_to_config
        def __init__(self, size: int = 1):
            super().__init__()
            add_layers(self)

    adapter = an_adapter()
    write_lora(tmp_path / LORA_FILE, adapter, "diffusers")
    model = Transformer()
    model.load_lora_adapter(str(tmp_path), weight_name=LORA_FILE, prefix="transformer", adapter_name="i1")
    for name, factors in adapter.items():
        module = model.get_submodule(name)
        x = torch.randn(3, WIDTHS[name][0], generator=torch.Generator().manual_seed(0))
        added = (module(x) - module.base_layer(x)).detach().numpy()
        np.testing.assert_allclose(added, x.numpy() @ factors.product(), rtol=1e-4, atol=1e-4, err_msg=name)
    model.save_lora_adapter(str(tmp_path / "saved"), adapter_name="i1")
    again = read_lora(next((tmp_path / "saved").glob("*.safetensors"))).adapter
    assert again.keys() == adapter.keys()
    for name, factors in adapter.items():
        np.testing.assert_array_equal(factors.a, again[name].a)
        np.testing.assert_array_equal(factors.b, again[name].b)
        assert factors.alpha == again[name].alpha
