import re
import runpy
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "minimum_versions.py"))
minimum, lowest_versions, main = TOOL["minimum"], TOOL["lowest_versions"], TOOL["main"]


@pytest.mark.parametrize(
    ("line", "lowest"),
    [
        ("torch>=2.10.0", "torch==2.10.0"),
        ("torch>=2.10.0,!=2.11.0,<3", "torch==2.10.0"),
        ("torch<3,>=2.10", "torch==2.10"),
        ("torch[cpu]==2.10.0", "torch==2.10.0"),
    ],
)
def test_the_lowest_version_of_a_requirement(line, lowest):
    assert minimum(Requirement(line)) == lowest


@pytest.mark.parametrize("line", ["torch", "torch<3", "torch>2", "torch>=2.10,==2.11", "torch>=2.10,!=2.10"])
def test_a_requirement_without_one_usable_lowest_version_is_refused(line):
    with pytest.raises(ValueError, match="torch"):
        minimum(Requirement(line))


def test_what_another_python_or_an_extra_not_named_needs_is_left_out():
    project = {
        "dependencies": ["a>=1", "b>=2; python_version < '3'", "c>=3; python_version >= '3'"],
        "optional-dependencies": {"more": ["d>=4"], "rest": ["e>=5"]},
    }
    assert list(lowest_versions(project)) == ["a==1", "c==3"]
    assert list(lowest_versions(project, ["more"])) == ["a==1", "c==3", "d==4"]
    with pytest.raises(ValueError, match=r"found the extras none, expected some of more, rest"):
        list(lowest_versions(project, ["none"]))


def test_this_project_names_a_lowest_version_of_everything_that_users_install(capsys):
    assert main(["zoo", "studio"]) == 0
    lines = capsys.readouterr().out.split()
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"torch", "filelock", "timm", "PySide6-Essentials"} <= set(names)
    assert main(["none"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_security_md_gives_the_reason_of_every_minimum():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("## Versions")[2]
    found = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| [^|\n]{20,} \|$", text, flags=re.MULTILINE)
    assert [f"{name}=={version}" for name, version in found] == list(lowest_versions(project, ["zoo", "studio"]))
