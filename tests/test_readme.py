import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    assert len(README.encode()) <= 8000


def test_the_first_two_commands_set_up_and_run_the_demonstration_and_the_tests():
    first, second = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)[:2]
    assert "venv" in first and first.endswith("crots demo")
    assert "venv" in second and "pytest" in second


def test_measurements_have_their_place():
    assert README.index("<!-- results -->") < README.index("<!-- end results -->")
