"""Every string of the window and of the core, collected once: none in words that were found to puzzle people."""

import ast
import re
from pathlib import Path

import pytest

import crots
import crots_studio
from crots.options import all_options

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


# The one place that gives the text of an error; and where Python's own errors are shown whole, for a report of a bug.
# What the background reports, the session translates for all panels.
TELLS = {"models/words.py", "background/errands.py", "app.py", "__main__.py"}


def _untranslated(tree):
    """Yields the lines where an exception is made text by anything other than `fault_text`."""
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ExceptHandler) and scope.name:
            names = {scope.name}
        elif isinstance(scope, (ast.FunctionDef, ast.Lambda)):
            kinds = ("Exception", "BaseException", "CrotsError", "InputError")
            names = {
                arg.arg
                for arg in scope.args.args
                if isinstance(arg.annotation, ast.Name) and arg.annotation.id in kinds
            }
            names |= {arg.arg for arg in scope.args.args if isinstance(scope, ast.Lambda) and arg.arg == "error"}
        else:
            continue
        for node in ast.walk(scope):
            made_text = isinstance(node, ast.FormattedValue) or (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
            )
            of = [node.value] if isinstance(node, ast.FormattedValue) else getattr(node, "args", [])
            if made_text and any(isinstance(value, ast.Name) and value.id in names for value in of):
                yield node.lineno


def test_every_error_is_shown_in_the_words_of_the_window():
    """Messages of the core name options as `section.option`: `fault_text` makes them the titles of the settings."""
    folder = Path(crots_studio.__file__).parent
    found = []
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder).as_posix()
        if place not in TELLS:
            found += [f"{place}:{line}" for line in _untranslated(ast.parse(path.read_text("utf-8")))]
    assert not found, found


def test_the_search_for_errors_that_are_shown_raw_finds_them():
    source = """
try:
    work()
except OSError as error:
    say(str(error))
    say(f"not saved: {error}")
    say(fault_text(error))
"""
    assert sorted(_untranslated(ast.parse(source))) == [5, 6]


# Only for somebody at a terminal: measuring, several processes, and flags that no option of a project has.
TERMINAL = (
    "cli/",
    "bench/",
    "execution/group.py",
    "card.py",
    "report/write.py",
    "stages/applying.py",
    "shortcut.py",
    "stages/labelling_tools.py",
)
_RAW = re.compile(r"(?<![`\w])[a-z_]+\.[a-z_]+(?![`\w])|(?<!\w)--[a-z]")


@pytest.mark.parametrize("package", [crots, crots_studio], ids=["core", "studio"])
def test_no_message_names_an_option_that_only_files_and_terminals_know(package):
    """In backticks either face of the program names them by itself: by a flag, or by their title in the settings."""
    options = all_options()
    found = [
        f"{place}: {text}"
        for place, text in all_strings(package)
        if not place.startswith(TERMINAL) and any(raw.startswith("--") or raw in options for raw in _RAW.findall(text))
    ]
    assert not found, "\n".join(found)
