from typing import get_origin

import pytest

from crots import options as opt
from crots.cli.command import make_parser, profile_in
from crots.cli.commands import load_command
from crots.cli.flags import given, option_help, settings
from crots.cli.main import main
from crots.config import Grid, Size, describe, shown
from crots.errors import InputError
from crots.training_options import AdaptOptions, BaselineOptions, TrainOptions

# Where each stage's options are flags, and those that the command says in another way.
STAGES = [
    ("pseudo-label", "pseudo_label", opt.PseudoLabelOptions, ()),
    ("mine", "mine", opt.MineOptions, ()),
    ("baseline", "baseline", BaselineOptions, ()),
    ("train", "train", TrainOptions, ()),
    ("adapt", "adapt", AdaptOptions, ("rounds", "patches")),
    ("evaluate", "evaluate", opt.EvaluateOptions, ()),
    ("predict", "predict", opt.PredictOptions, ()),
    ("pseudo-label", "source", opt.SourceOptions, ()),
    ("pseudo-label", "task", opt.TaskOptions, ()),
    # What an error about a model names, the command that opened it takes: its size was missing.
    ("predict", "source", opt.SourceOptions, ()),
    ("evaluate", "source", opt.SourceOptions, ("confidence",)),
    ("init", "data", opt.DataOptions, ()),
    ("init", "task", opt.TaskOptions, ()),
    ("init", "source", opt.SourceOptions, ()),
    ("init", "student", opt.StudentOptions, ()),
    *(
        (name, "runtime", opt.RuntimeOptions, ("time_budget",))
        for name in ("pseudo-label", "baseline", "train", "adapt", "evaluate")
    ),
    *((name, "data", opt.DataOptions, ()) for name in ("baseline", "train", "adapt")),
]


def actions_of(command, section):
    parser = make_parser(load_command(command), "recommended")
    found = {}
    for action in parser._actions:
        where, _, name = action.dest.partition(".")
        if where == section and name:
            found[name] = action
    return parser, found


def a_value(info):
    """Some allowed text for an option, other than its default where that is easy."""
    if info.choices:
        return info.choices[-1]
    if info.kind is int or info.kind is float:
        low = 1 if info.low is None else info.low
        return f"{low:g}"
    if info.kind is Size:
        return "64x32"
    if info.kind is Grid:
        return "2x3"
    return "word"


@pytest.mark.parametrize(("command", "section", "cls", "otherwise"), STAGES)
def test_every_option_is_a_flag(command, section, cls, otherwise):
    _, actions = actions_of(command, section)
    assert set(actions) == {info.name for info in describe(cls)} - set(otherwise)


@pytest.mark.parametrize(("command", "section", "cls", "otherwise"), STAGES)
def test_flags_arrive_as_values_of_their_type(command, section, cls, otherwise):
    parser, actions = actions_of(command, section)
    for action in parser._actions:
        action.required = False
    words, expected = [], {}
    for info in describe(cls):
        if info.name in otherwise:
            continue
        if info.kind is bool:
            flag = actions[info.name].option_strings[1 if info.default else 0]
            words.append(flag)
            expected[info.name] = not info.default
        else:
            words += [actions[info.name].option_strings[0], a_value(info)]
            expected[info.name] = None
    command_words = [word for action in parser._actions if not action.option_strings for word in ["somewhere"]]
    found = given(parser.parse_strictly([*command_words, *words]))[section]
    assert set(found) == set(expected)
    for info in describe(cls):
        if info.kind is bool and info.name in expected:
            assert found[info.name] is expected[info.name]
        elif info.name in expected:
            assert isinstance(found[info.name], get_origin(info.kind) or info.kind)


def test_nothing_given_is_nothing_set():
    parser, _ = actions_of("adapt", "adapt")
    args = parser.parse_strictly(["--images", "i", "--student", "s", "--classes", "camvid", "--out", "o"])
    assert set(given(args)) == {"data", "task"}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("adapt", "--confidence", "1.5"), ("--confidence", "1.5", "from 0 to 1")),
        (("adapt", "--steps", "many"), ("--steps", "many", "whole number")),
        (("adapt", "--steps", "2.5"), ("--steps", "2.5")),
        (("adapt", "--batch", "0"), ("--batch", "0", "from 1")),
        (("adapt", "--mix", "catmix"), ("--mix", "catmix", "cutmix")),
        (("adapt", "--learning-rate", "nan"), ("--learning-rate", "nan")),
        (("adapt", "--rounds", "0"), ("--rounds", "0")),
        (("mine", "--grid", "4by4"), ("--grid", "4by4", "4x4")),
        (("baseline", "--size", "big"), ("--size", "512x256")),
        (("baseline", "--precision", "fp8"), ("--precision", "bf16")),
        (("baseline", "--steps"), ("--steps", "expected one argument")),
        (("adapt", "--profile", "publish"), ("--profile", "published")),
        (("export", "x", "--format", "tflite"), ("--format", "onnx")),
    ],
)
def test_wrong_values_are_refused_in_one_line(refused, words, parts):
    line = refused(*words)
    assert all(part in line for part in parts), line


def test_help_shows_the_defaults_of_the_chosen_profile(crots):
    recommended = " ".join(crots("adapt", "--help").out.split())
    published = " ".join(crots("adapt", "--help", "--profile", "published").out.split())
    assert "default softmax; published: logit; F2" in recommended
    assert "default logit; recommended: softmax; F2" in published


@pytest.mark.parametrize(
    ("words", "profile"),
    [
        (["adapt", "--profile", "published"], "published"),
        (["adapt", "--profile=published", "--help"], "published"),
        (["adapt"], "recommended"),
        (["adapt", "--profile"], "recommended"),
        (["adapt", "--net", "published"], "recommended"),
    ],
)
def test_profile_is_found_beforehand(words, profile):
    assert profile_in(words) == profile


def test_option_help_has_range_unit_default_and_fault():
    infos = {info.name: info for info in describe(opt.MineOptions)}
    text = option_help(infos["min_confidence"], "recommended")
    assert all(part in text for part in ("from 0 to 1", "default 0.5", "published: 0", "F10"))
    assert "(px)" in option_help(infos["min_pixels"], "recommended")


def test_shown_values():
    assert [shown(value) for value in (None, "", True, False, 1e-5, Size(4, 2), ("a", "b"))] == [
        "", "", "on", "off", "1e-05", "4x2", "a,b",
    ]  # fmt: skip


def test_settings():
    assert settings(["adapt.steps=5", " mine.rare = 1,2 "]) == {"adapt.steps": "5", "mine.rare": "1,2"}
    for wrong in ("adapt.steps", "steps=5"):
        with pytest.raises(InputError, match="expected section"):
            settings([wrong])


def test_options_command_lists_every_option(crots):
    text = crots("options", "--markdown").out
    for cls in (*opt.SECTIONS.values(), TrainOptions, opt.PredictOptions):
        assert all((f"| `{info.name}` |" in text) == info.stored for info in describe(cls))
    assert "adapt" in crots("options", "adapt").out


def test_options_of_an_unknown_section(refused):
    assert "adapt" in refused("options", "adpat")


@pytest.mark.parametrize("value", ["none", ""])
@pytest.mark.parametrize("flag", ["--checkpoint", "--images"])
def test_an_option_that_is_required_cannot_stand_for_nothing(tmp_path, capsys, flag, value):
    given = {"--checkpoint": str(tmp_path), "--images": str(tmp_path), "--out": str(tmp_path / "out"), flag: value}
    assert main(["predict", *(word for pair in given.items() for word in pair)]) == 2
    message = capsys.readouterr().err
    assert f"{flag}: found {value!r}, which stands for no value" in message
    assert ("write ./none" in message) == bool(value)


@pytest.mark.parametrize("command", ["train", "baseline"])
def test_help_of_a_required_flag_does_not_say_what_leaving_it_out_means(crots, command):
    # Nor that images with labels have none.
    shown = " ".join(crots(command, "--help").out.split())
    start, end = shown.index("--net TEXT Network"), shown.index("--out DIR")
    assert "empty takes" not in shown[start:end] and "'source'" not in shown[start:end]
    assert ("unlabelled" in shown) == (command == "baseline")
