"""The options of `i1 sample` as options of `i1 bench`, where i1-sample is installed."""

from __future__ import annotations

import argparse
import importlib.util

from i1_hooks import UserError

from i1_bench.generation import PipelineGenerator, require_i1_sample

OF_THE_RUN = ("seed", "num_images_per_prompt", "first_index")
"""Fields of `SampleOptions` that a run sets itself."""


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Adds what says which model is loaded and how it is sampled; without i1-sample the model alone."""
    if importlib.util.find_spec("i1_sample") is None:
        parser.add_argument("--model", default=argparse.SUPPRESS, help="needs i1-sample: i1-bench[sample]")
        return
    from i1_sample.arguments import add_options
    from i1_sample.options import LoadOptions, SampleOptions

    add_options(parser, LoadOptions)
    add_options(parser, SampleOptions, skip=OF_THE_RUN)


def given_flags(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[str]:
    """Returns the flags of sampling that were given."""
    return [
        action.option_strings[0]
        for action in parser._actions
        if action.default == argparse.SUPPRESS and action.option_strings and hasattr(arguments, action.dest)
    ]


def refuse_sampling(parser: argparse.ArgumentParser, arguments: argparse.Namespace, what: str) -> None:
    """Raises a `UserError` when options of sampling were given, though something else makes the pictures."""
    if given := given_flags(parser, arguments):
        raise UserError(f"{given[0]} does not apply to {what}: leave one out")


def make_pipeline(arguments: argparse.Namespace) -> PipelineGenerator:
    """Returns the generator that the options describe.

    Raises:
        UserError: when i1-sample is not installed, options do not fit, or there is no such model.
    """
    require_i1_sample()
    from i1_sample.arguments import read_options
    from i1_sample.options import LoadOptions, SampleOptions

    given = argparse.Namespace(**{k: v for k, v in vars(arguments).items() if k not in OF_THE_RUN})
    return PipelineGenerator(read_options(LoadOptions, given), read_options(SampleOptions, given))
