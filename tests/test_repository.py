"""What must hold for every package of the workspace, and for every tracked file."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = sorted(
    path.parent for folder in ("packages", "plugins") for path in ROOT.glob(f"{folder}/*/pyproject.toml")
)
OURS = {member.name for member in MEMBERS}


def project(member):
    return tomllib.loads((member / "pyproject.toml").read_text())


def requirements(member):
    data = project(member)["project"]
    yield from data["dependencies"]
    for lines in data.get("optional-dependencies", {}).values():
        yield from lines


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement).group()


def tracked():
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listing.stdout.splitlines() if name != "uv.lock"]


def test_all_packages_have_one_version():
    versions = {member.name: project(member)["project"]["version"] for member in MEMBERS}
    assert len(set(versions.values())) == 1, versions


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_siblings_are_pinned_to_the_same_version(member):
    data = project(member)
    siblings = [requirement for requirement in requirements(member) if name_of(requirement) in OURS]
    version = data["project"]["version"]
    for requirement in siblings:
        assert re.fullmatch(rf"[a-z0-9-]+(\[[a-z,-]+\])?=={re.escape(version)}", requirement), requirement
    sources = data["tool"]["uv"]["sources"] if siblings else {}
    assert {name_of(requirement) for requirement in siblings} == set(sources)
    assert all(source == {"workspace": True} for source in sources.values())


WITHOUT_COMPONENTS = {"i1-scenes"}


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_packages_can_be_published(member):
    data = project(member)
    module = member.name.replace("-", "_")
    assert data["project"]["name"] == member.name
    assert data["project"]["requires-python"] == ">=3.11"
    assert data["project"]["license"] == "Apache-2.0"
    assert data["build-system"]["build-backend"] == "uv_build"
    plugins = data["project"].get("entry-points", {}).get("i1", {})
    assert bool(plugins) == (member.name not in WITHOUT_COMPONENTS)
    assert (member / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (member / "src" / module / "py.typed").is_file()
    assert (member / data["project"]["readme"]).read_text().startswith(f"# {member.name}\n")
    assert not any("git+" in requirement or " @ " in requirement for requirement in requirements(member))
    assert not any(name_of(r) in ("jax", "jaxlib") and "<" in r for r in requirements(member)), (
        "no upper cap on jax"
    )


FORBIDDEN = {
    "a path of somebody's machine": r"(?<![\w.])/(?:home|root|Users|work)/[\w.-]+",
    "a package index": "|".join(
        ["index" + "-url", "default" + "-index", "find" + "-links", r"\[\[tool\.uv\.index"]
    ),
    "a git dependency": r"git\+(?:https|ssh)" + "://",
}


def test_no_machine_and_no_index_in_tracked_files():
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for what, pattern in FORBIDDEN.items():
            found += [f"{name}: {what}: {match.group()}" for match in re.finditer(pattern, text)]
    assert not found, "\n".join(found)


def test_files_of_source_fit_one_idea():
    long = {
        name: count
        for name in tracked()
        if name.endswith(".py") and "/src/" in name and (ROOT / name).is_file()
        if (count := len((ROOT / name).read_text().splitlines())) > 350
    }
    assert not long, f"about 300 lines are the limit: {long}"
