"""The two records of options: one name everywhere, checked when made."""

import dataclasses
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from i1_hooks import UserError, from_dict, to_dict
from i1_sample.cli import build_parser
from i1_sample.keywords import LoadKeywords, SampleKeywords, load_options, with_options
from i1_sample.options import LoadOptions, LoraSetting, SampleOptions
from i1_sample.solvers.one_step import Heun


def names(record: type) -> set[str]:
    return {field.name for field in dataclasses.fields(record)}


def test_python_takes_every_field_by_its_name():
    assert set(typing.get_type_hints(SampleKeywords)) == names(SampleOptions)
    assert set(typing.get_type_hints(LoadKeywords)) == names(LoadOptions) - {"model"}


def test_the_command_line_takes_every_field_but_the_function():
    destinations = {action.dest for action in build_parser()._actions}
    assert names(SampleOptions) <= destinations
    assert names(LoadOptions) - destinations == {"sharding"}


@pytest.mark.parametrize("record", [LoadOptions, SampleOptions])
def test_every_field_is_described(record):
    described = re.findall(r"^        (\w+): ", record.__doc__, flags=re.MULTILINE)
    assert described == [field.name for field in dataclasses.fields(record)]


def test_records_survive_json():
    sampling = SampleOptions(
        num_inference_steps=3, guidance_scale=2.0, solver={"component": "ancestral", "eta": 0.5}
    )
    assert from_dict(SampleOptions, to_dict(sampling)) == sampling
    assert to_dict(SampleOptions(solver=Heun()))["solver"] == {"component": "heun"}
    loading = load_options("m", {"loras": ["a:0.5", (Path("b"), 2)], "vae": Path("v")})
    assert loading.loras == (LoraSetting(path="a", scale=0.5), LoraSetting(path="b", scale=2.0))
    assert from_dict(LoadOptions, to_dict(loading)) == loading


@pytest.mark.parametrize(
    ("record", "keywords", "message"),
    [
        (SampleOptions, {"seed": 2**32}, "seed must be an integer from 0 to 4294967295, got 4294967296"),
        (SampleOptions, {"height": "16"}, "height must be an integer of at least 1, got '16'"),
        (SampleOptions, {"guidence_scale": 2}, "unknown option 'guidence_scale'; did you mean 'guidance_"),
        (LoadOptions, {"dtype": "int8"}, "unknown dtype 'int8'"),
        (LoadOptions, {"offload": 1}, "offload must be true or false, got 1"),
        (LoadOptions, {"vae_tile": 0}, "vae_tile must be an integer of at least 1, got 0"),
        (LoadOptions, {"model": 3}, "model must be text, got 3"),
        (LoadOptions, {"sharding": "data"}, "sharding must be a function of an array's path and shape"),
    ],
)
def test_what_does_not_fit_is_refused(record, keywords, message):
    with pytest.raises(UserError, match=message):
        with_options(record(), keywords)


def test_the_records_import_nothing_heavy():
    code = (
        "import sys, i1_sample.options; heavy = {'jax', 'numpy', 'flax', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
