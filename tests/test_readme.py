import re
from pathlib import Path

from crots.cli.reference import rewritten

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code():
    assert rewritten(README) == README, "run: python -m crots.cli.reference"


def test_every_picture_and_path_it_names_exists():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path


def test_the_first_two_commands_set_up_and_run_the_demonstration_and_the_tests():
    first, second = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)[:2]
    assert "venv" in first and first.endswith("crots demo")
    assert "venv" in second and "pytest" in second
