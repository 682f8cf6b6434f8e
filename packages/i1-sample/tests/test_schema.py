import json
import subprocess
import sys

from i1_hooks.cli import main
from i1_sample.cli import build_parser
from i1_sample.options import LoadOptions, SampleOptions


def schema(capsys) -> dict:
    assert main(["schema"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_option_with_type_default_and_choices(capsys):
    told = schema(capsys)
    assert list(told["load"]) == list(LoadOptions.__dataclass_fields__)
    assert list(told["sample"]) == list(SampleOptions.__dataclass_fields__)
    assert told["sample"]["num_inference_steps"] == {
        "type": "integer",
        "default": None,
        "flags": ["--steps", "--num-steps"],
        "help": "steps of the solver (default: the model's)",
        "minimum": 1,
        "maximum": 10_000,
    }
    assert told["sample"]["first_index"]["default"] == 0
    assert told["sample"]["solver"]["type"] == "component"
    assert {"euler", "ancestral"} <= set(told["sample"]["solver"]["choices"])
    assert told["load"]["dtype"]["choices"] == ["float32", "bfloat16"]
    assert told["load"]["offload"]["type"] == "boolean"
    assert "scenes" in told["load"]["model"]["choices"]
    assert told["load"]["sharding"]["flags"] == []


def test_every_flag_is_one_of_the_command(capsys):
    told = schema(capsys)
    flags = {
        flag for record in ("load", "sample") for option in told[record].values() for flag in option["flags"]
    }
    assert flags <= {flag for action in build_parser()._actions for flag in action.option_strings}
    assert len(flags) > 20


def test_components_with_their_fields(capsys):
    told = schema(capsys)["components"]
    assert told["solvers"]["ancestral"]["fields"] == {"eta": {"type": "float", "default": 1.0}}
    assert told["guidances"]["cfg"]["fields"]["rescale"] == {"type": "float", "default": 1.0}
    assert told["rewriters"]["openai"]["fields"]["temperature"]["default"] == 0.6


def test_it_is_json_from_a_process_too():
    done = subprocess.run([sys.executable, "-m", "i1_hooks", "schema"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sample"]["seed"]["maximum"] == 2**32 - 1
