"""What stands around the code says the same as the code."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import crots

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_changelog_begins_with_this_version():
    (first, *_) = re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert first == crots.__version__
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "crots/__init__.py" and "version" not in PROJECT["project"]


def test_the_hooks_are_the_linters_of_ci():
    part = read(".ci/run").partition('echo "== linters"')[2].partition('echo "== documentation"')[0]
    linters = re.findall(r"^\$bin/(.+)$", part, re.MULTILINE)
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local" and [hook["entry"] for hook in repository["hooks"]] == linters
    assert len(linters) >= 4
    # The whole is checked: types and imports of a file depend on the others.
    assert all(hook["pass_filenames"] is False for hook in repository["hooks"])


def test_hosted_checks_run_ours_on_linux_and_the_test_command_elsewhere():
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert commands["everything"] == ["bash .ci/run"]
    (_, test, *_) = re.findall(r"```sh\n(.*?)\n```", read("README.md"), re.DOTALL)
    _, *steps = test.replace(".venv/bin/", "").replace("'", '"').replace("pip ", "python -m pip ", 1).split(" && ")
    assert commands["tests"] == steps
    assert set(jobs["tests"]["strategy"]["matrix"]["system"]) == {"windows-latest", "macos-latest"}
    for job in jobs.values():
        assert {"3.11", "3.13"} == set(job["strategy"]["matrix"]["python"])


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_issue_forms_have_what_a_form_needs(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert "blank_issues_enabled" in form
        return
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields and len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_the_citation_names_the_paper_and_this_software():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["license"] == PROJECT["project"]["license"]
    paper = citation["preferred-citation"]
    assert all(author["family-names"] and author["given-names"] for author in paper["authors"])
    doi = paper["doi"]
    assert PROJECT["project"]["urls"]["Paper"] == f"https://doi.org/{doi}"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_files_and_commands_that_are_named_exist(name):
    for path in re.findall(r"(?:\.ci|crots|crots_studio|tools|examples|tests)/[\w/.]*\w", read(name)):
        assert (ROOT / path).exists(), path
    for tool in re.findall(r"`(\w+\.py)`", read(name)):
        assert (ROOT / "tools" / tool).is_file(), tool


def test_both_packages_are_marked_as_typed():
    assert all(
        (ROOT / package / "py.typed").is_file()
        for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    )


@pytest.mark.parametrize("package", ["crots", "crots_studio"])
def test_no_name_is_that_of_a_module_a_class_and_a_function(package):
    modules, classes, functions = set(), set(), set()
    for path in (ROOT / package).rglob("*.py"):
        modules.add(path.parent.name if path.stem == "__init__" else path.stem)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes.add(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower())
            elif isinstance(node, ast.FunctionDef):
                functions.add(node.name)
    assert modules & classes & functions == set()
