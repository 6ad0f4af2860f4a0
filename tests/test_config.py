import ast
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots import options as opt
from crots.config import (
    Duration,
    Grid,
    Size,
    changed,
    check,
    defaults,
    describe,
    from_mapping,
    parse,
    to_mapping,
    to_plain,
)
from crots.errors import InputError
from crots.training_options import AdaptOptions, TrainingOptions, TrainOptions

ALL_OPTIONS = [*opt.SECTIONS.values(), TrainOptions, opt.PredictOptions]


@pytest.mark.parametrize("options_class", ALL_OPTIONS)
@pytest.mark.parametrize("profile", ["recommended", "published"])
def test_every_default_passes_its_own_check_and_survives_toml(options_class, profile):
    base = defaults(options_class, profile)
    for info in describe(options_class):
        value = getattr(base, info.name)
        assert check(info, to_plain(value), where=info.name) == value
        assert info.help.endswith(".") and info.flag.startswith("--")
    assert from_mapping(options_class, to_mapping(base), where="x", profile=profile) == base


def test_every_option_is_read_somewhere():
    read = {
        node.attr
        for file in Path(opt.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert [path for path in opt.all_options() if path.partition(".")[2] not in read] == []


def test_every_fault_that_is_a_switch_differs_between_the_profiles_or_names_a_net():
    found = {}
    for options_class in ALL_OPTIONS:
        for info in describe(options_class):
            if info.fault:
                found.setdefault(info.fault, []).append(info.default != info.published)
    assert set(found) == {"F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F13", "F14"}
    # F1 is a property of the net's name, the same in both profiles.
    assert all(any(differ) for fault, differ in found.items() if fault != "F1")


@pytest.mark.parametrize(
    ("section", "values", "part"),
    [
        ("adapt", {"confidence": 1.5}, "adapt.confidence: found 1.5, expected a number from 0 to 1"),
        ("adapt", {"confidence": float("nan")}, "adapt.confidence"),
        ("adapt", {"steps": "inf"}, "a whole number"),
        ("adapt", {"steps": 2.5}, "a whole number"),
        ("adapt", {"steps": True}, "a whole number"),
        ("adapt", {"mix": "cutmixx"}, "one of spatialmix, cutmix, classmix"),
        ("adapt", {"patches": "perhaps"}, "true or false"),
        ("adapt", {"learning-rate": 1, "learning_rate": 2}, "given twice"),
        ("adapt", {"learnign_rate": 1}, "did you mean learning_rate"),
        ("mine", {"grid": "4"}, "a grid like 4x4"),
        ("mine", {"grid": "0x4"}, "at least"),
        ("data", {"size": "512.7x256"}, "a size like 512x256"),
        ("data", {"size": "4x4"}, "at least 8"),
        ("export", {"formats": "onnx,tflite"}, "some of pth"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_and_what_is_allowed(section, values, part):
    if section == "mine" and values["grid"] == "0x4":
        part = "from 1 to 64"
    with pytest.raises(InputError) as caught:
        from_mapping(opt.SECTIONS[section], values, where=section)
    assert part in str(caught.value)
    assert caught.value.field.startswith(section)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TrainingOptions.REMOVED)
def test_a_removed_option_loads_where_it_was_off_and_is_explained_where_it_was_on(name):
    for off in (0, 0.0, "0"):
        assert from_mapping(AdaptOptions, {name: off}, where="adapt") == AdaptOptions()
    with pytest.raises(InputError, match=f"adapt.{name}: this option was removed, since it cost") as error:
        from_mapping(AdaptOptions, {name: 0.5}, where="adapt")
    assert error.value.field == f"adapt.{name}"


def test_strings_of_the_command_line_become_values():
    options = from_mapping(opt.MineOptions, {"grid": "2x3", "min-confidence": "0.25"}, where="mine")
    assert options.grid == Grid(2, 3) and options.min_confidence == 0.25
    assert from_mapping(opt.DataOptions, {"size": "none"}, where="data").size is None
    assert from_mapping(opt.ExportOptions, {"formats": "pth, onnx"}, where="export").formats == ("pth", "onnx")


def test_changed_lists_what_differs_from_the_profile_and_never_trust():
    options = dataclasses.replace(defaults(opt.RuntimeOptions, "recommended"), trust=True, seed=3)
    assert changed(options, "recommended") == {"seed": 3}
    published = defaults(AdaptOptions, "published")
    assert changed(published, "published") == {}
    assert changed(published, "recommended")["confidence_from"] == "logit"


@given(st.integers(8, 5000), st.integers(8, 5000))
def test_sizes_survive_their_text(width, height):
    size = Size(width, height)
    assert from_mapping(opt.DataOptions, {"size": str(size)}, where="data").size == size


@given(
    st.dictionaries(
        st.sampled_from([i.name for i in describe(AdaptOptions)]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=8),
            st.lists(st.integers(), max_size=3),
        ),
    )
)
def test_wild_values_are_accepted_or_refused(values):
    try:
        options = from_mapping(AdaptOptions, values, where="adapt")
    except InputError as error:
        assert "adapt." in str(error)
    else:
        for info in describe(AdaptOptions):
            check(info, to_plain(getattr(options, info.name)), where="adapt")


@pytest.mark.parametrize(
    ("text", "minutes", "shown"),
    [
        ("60m", 60, "1h"),
        ("90m", 90, "1h30m"),
        ("2h", 120, "2h"),
        (" 1H 5min ", 65, "1h5m"),
        ("1m", 1, "1m"),
        ("3 minutes", 3, "3m"),
        ("1 minute", 1, "1m"),
        ("2 hours 10 mins", 130, "2h10m"),
        ("1 hr", 60, "1h"),
    ],
)
def test_times_are_read_and_written(text, minutes, shown):
    found = parse(Duration, text)
    assert (found, str(found)) == (Duration(minutes), shown)
    assert parse(Duration, str(found)) == found == parse(Duration, found)


@pytest.mark.parametrize("text", ["60", 60, "", "0m", "h", "-5m", "1.5h", "1d", "5m2h", "9999999h", None])
def test_times_that_could_mean_two_things_are_refused(text):
    with pytest.raises(ValueError, match="no time"):
        parse(Duration, text)
