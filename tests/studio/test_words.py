"""Every string of the window and of the core, collected once: none in words that were found to puzzle people."""

import ast
import re
from pathlib import Path

import pytest

import crots
import crots_studio

# What readers who know the field, and nothing of this program, stumbled over.
PUZZLES = (
    r"\bmended\b", r"\bMends?\b", r"\bgoes on\b", r"\bbegins? anew\b", r"what (it|they|the \w+) says?\b",
    r"\bwhat it said\b", r"is to become of", r"cannot go on", r"Another one", r"^Takes ", r"Commonest",
    r"how badly", r"\blooked at\b", r"\bthrown away\b", r"in a process of its own", r"\bspeaks?\b", r"is learnt from",
    r"A folder is made", r"\bsurest\b(?! first)", r"Code of others", r"without the window", r"\btaken over\b",
    r"what was dropped", r"stays as it is", r"\bnot there\b", r"is no source\b", r"\bbecomes$", r"\bis lost\b",
)  # fmt: skip
# The same for messages, help and reports of the core.
CORE_PUZZLES = (
    r"fault of CROTS itself", r"\bspeaks? (for|against)\b", r"to train it from nothing", r"run again to go on",
    r"\bone \w+ an? (line|pixel|channel|class|image|step|round)\b", r"as where\b", r"where it comes from",
    r"is it one\?", r"what it started from", r"in the mean\b", r"\bgave back\b", r"\blead in a circle\b", r"^gets ",
    r"is no (function|JSON)\b",
)  # fmt: skip
# Keys and names of things in the code, which nobody reads.
INTERNAL = re.compile(r"^[a-z0-9_./-]+( [a-z]+)?$")


def strings_of(path):
    """Yields line and text of every string in a file that is no docstring; parts that are filled in are left out."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def all_strings(package=crots_studio):
    folder = Path(package.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for line, text in strings_of(path):
            if " " in text.strip() and not INTERNAL.match(text):
                yield f"{path.relative_to(folder)}:{line}", text


def test_the_strings_are_found():
    assert len(list(all_strings())) > 500


@pytest.mark.parametrize("puzzle", PUZZLES)
def test_no_string_of_the_window_is_puzzling(puzzle):
    found = [f"{place}: {text}" for place, text in all_strings() if re.search(puzzle, text)]
    assert not found, "\n".join(found)


def test_an_ellipsis_stands_apart_everywhere():
    """One spelling: "Browse ...", not "Browse..."."""
    found = [f"{place}: {text}" for place, text in all_strings() if re.search(r"[A-Za-z]\.\.\.", text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("puzzle", CORE_PUZZLES)
def test_no_message_of_the_core_is_puzzling(puzzle):
    found = [f"{place}: {text}" for place, text in all_strings(crots) if re.search(puzzle, text)]
    assert not found, "\n".join(found)
