"""Names of files and classes may hold anything; what is said of them must not reach the terminal as it is."""

import ast
import io
import json
import re
import sys
from pathlib import Path

import pytest

import crots.cli
from crots.cli.command import flags_by_option, make_parser
from crots.cli.commands import load_command
from crots.cli.draw import open_screen, show_table
from crots.cli.tables import Table
from crots.cli.terminal import presentable, say, use_flags
from crots.events import Evaluated, Metrics, Note, Progress, StageFinished, StageStarted

pytestmark = pytest.mark.safety

NAME = "[red]a[/red]\x1b]0;title\x07\x9b2J\u202eb\n:bug:"
SHOWN = "[red]a[/red]\\x1b]0;title\\x07\\x9b2J\\u202eb\\n:bug:"
# What rich itself writes: colours, erasing and moving of its own lines.
OWN = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_events_are_shown_literally(kind, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = kind()
    screen = open_screen(stream)
    for event in (
        StageStarted(stage=NAME, total=3, unit=NAME, device=NAME),
        Metrics(stage=NAME, step=1, values={NAME: 1.0}),
        Progress(stage=NAME, done=1, total=3, rate=1.0),
        Note(stage=NAME, text=NAME, level="warning"),
        Evaluated(stage=NAME, subject=NAME, miou=0.5, per_class_iou={NAME: 0.5}, images=1, confusion=[[1]]),
        StageFinished(stage=NAME, outcome="completed", seconds=1.0),
    ):
        screen.show(event)
    screen.say(NAME)
    screen.close()
    text = OWN.sub("", stream.getvalue())
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text), repr(text)
    assert f"warning: {SHOWN}" in text
    # Stage, subject, class and figures, too.
    assert text.count(SHOWN) > 6


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_tables_are_shown_literally(kind):
    stream = kind()
    show_table(Table((NAME, "x"), ((NAME, NAME),)), stream)
    assert OWN.sub("", stream.getvalue()).replace("\n", "").count("\\x1b") == 3
    assert "\x07" not in stream.getvalue()


def test_a_class_set_of_unknown_origin(crots, city):
    classes = city / "set.toml"
    classes.write_text('name = "set"\n\n[[classes]]\nname = 1\n"\\u001b[31m" = 1\n')
    ran = crots("inspect", city / "labels" / "train", "--classes", classes)
    assert "\x1b" not in ran.out + ran.err
    assert "\\x1b" in ran.out + ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_file_of_unknown_origin(crots, city):
    path = city / "images" / "train" / "bad\x1b[2J\u202e.png"
    path.write_bytes(b"no picture")
    ran = crots("inspect", city / "images" / "train")
    assert ran.code == 1
    assert not re.search("[\x1b\u202e]", ran.out + ran.err)
    assert "bad\\x1b[2J\\u202e.png" in ran.out
    ran = crots("inspect", city / "images" / "train", "--json")
    assert "\u202e" not in ran.out
    assert any("bad\x1b[2J\u202e.png" in problem for problem in json.loads(ran.out)["problems"])
    missing = crots("inspect", city / "none\x1b[2J")
    assert "\\x1b[2J" in missing.err


def test_nothing_else_writes_to_the_terminal():
    """Every word goes through `say`; rich's console alone has its own, in `draw`."""
    for path in Path(crots.cli.__file__).parent.rglob("*.py"):
        names = {node.func.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert "print" not in names or path.name == "terminal.py", path


def test_a_line_stays_one(capsys):
    say("a\nb")
    assert capsys.readouterr().out == "a\\nb\n"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("init", "give --val-labels or --source"),
        ("evaluate", "give --labels or --checkpoint"),
        # Options of a project have no flag there.
        ("run", "give data.val_labels or source.file"),
    ],
)
def test_messages_of_the_core_name_options_by_the_flags_of_the_command(command, shown):
    use_flags(flags_by_option(make_parser(load_command(command), "recommended")))
    assert presentable("give `data.val_labels` or `source.file`") == shown
    assert presentable("run `crots init`, see `data.nothing`") == "run `crots init`, see `data.nothing`"


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["inspect", "--bands", "red"], "--bands"),
        (["init", "p", "--bands", "red"], "--bands"),
        (["init", "p", "--size", "64x64", "--tile", "64x64"], "--tile"),
        # The project's own name, where that is what was written.
        (["init", "p", "--set", "adapt.stepz=4"], "adapt.stepz"),
    ],
)
def test_an_option_that_leads_a_message_is_named_by_its_flag(refused, city, tmp_path, words, flag):
    words = [str(tmp_path / "p") if word == "p" else word for word in words]
    images = city / "images" / "train"
    more = ["--target", images, "--classes", "demo", "--source", "x.pth"] if words[0] == "init" else [images]
    message = refused(*words, *more)
    assert flag in message and "data." not in message
