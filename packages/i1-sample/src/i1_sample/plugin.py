"""The components of i1-sample."""

from __future__ import annotations

from pathlib import Path

from i1_hooks import Component, hookimpl


@hookimpl
def i1_solvers() -> list[Component]:
    """Offers the solvers; the names are those of the field."""
    one_step, multistep = "i1_sample.solvers.one_step", "i1_sample.solvers.multistep"
    ancestral = "i1_sample.solvers.ancestral"
    return [
        Component("euler", f"{one_step}:Euler", "order 1, one evaluation per step; as published"),
        Component("heun", f"{one_step}:Heun", "order 2, two evaluations per step"),
        Component("midpoint", f"{one_step}:Midpoint", "order 2, two evaluations per step"),
        Component("dopri5", f"{one_step}:DormandPrince5", "order 5, six evaluations per step"),
        Component("rk4", f"{one_step}:RungeKutta4", "order 4, four evaluations per step"),
        Component("ab2", f"{multistep}:AdamsBashforth2", "order 2, one evaluation per step"),
        Component("ab3", f"{multistep}:AdamsBashforth3", "order 3, one evaluation per step"),
        Component("ancestral", f"{ancestral}:Ancestral", "Euler with fresh noise, order 1 without"),
        Component("lcm", f"{ancestral}:LCM", "for consistency models: new noise at every step"),
        Component("uni_pc", f"{multistep}:UniPC", "UniPC for flow matching, order 3, one evaluation"),
        Component("dpmpp_2m", f"{multistep}:DPMSolverPP2M", "DPM-Solver++(2M) for flow matching, order 2"),
    ]


@hookimpl
def i1_time_grids() -> list[Component]:
    """Offers the time grids."""
    module = "i1_sample.time_grids.grids"
    return [
        Component("uniform", f"{module}:Uniform", "equal steps"),
        Component("shifted", f"{module}:Shifted", "small steps near the noise, shift 0.3; as published"),
        Component("cosine", f"{module}:Cosine", "steps that grow from the noise on"),
        Component("karras", f"{module}:Karras", "noise levels evenly spaced in their 1/rho-th power"),
        Component("beta", f"{module}:Beta", "quantiles of a beta distribution: small steps at both ends"),
        Component("explicit", f"{module}:Explicit", "times as given"),
        Component("linear_quadratic", f"{module}:LinearQuadratic", "short equal steps, then growing ones"),
    ]


@hookimpl
def i1_guidances() -> list[Component]:
    """Offers the guidances."""
    package = "i1_sample.guidances"
    return [
        Component("none", f"{package}.base:NoGuidance", "the prompt's velocity alone"),
        Component(
            "cfg", f"{package}.classifier_free:ClassifierFree", "classifier-free, with rescale; as published"
        ),
        Component(
            "cfg_zero_star", f"{package}.projected:ZeroStar", "CFG-Zero*: unconditional velocity fitted first"
        ),
        Component("adaptive_projected", f"{package}.projected:AdaptiveProjected", "APG without momentum"),
    ]


@hookimpl
def i1_rewriters() -> list[Component]:
    """Offers the prompt rewriters."""
    package = "i1_sample.rewriters"
    return [
        Component("none", f"{package}.base:NoRewriter", "prompts as written"),
        Component("template", f"{package}.template:TemplateRewriter", "a fixed sentence around the prompt"),
        Component(
            "openai",
            f"{package}.openai:OpenAIRewriter",
            "a language model behind an OpenAI-compatible server",
        ),
    ]


@hookimpl
def i1_models() -> list[Component]:
    """Offers the model that comes with this package."""
    return [
        Component("scenes", "i1_sample.weights:scenes", "64x64 scenes of coloured shapes and short words")
    ]


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 sample` and `i1 schema`."""
    return [
        Component("sample", "i1_sample.cli:main", "make pictures from prompts"),
        Component("schema", "i1_sample.schema:main", "print every option of sampling as JSON"),
    ]


@hookimpl
def i1_checkpoint_saved(workdir: Path, model: Path, step: int, prompts: tuple[str, ...]) -> None:
    """Writes `workdir/samples/step_%08d.png`, one captioned picture per preview prompt."""
    if prompts:
        from i1_sample.previews import write_preview

        write_preview(workdir / "samples" / f"step_{step:08d}.png", model, prompts)
