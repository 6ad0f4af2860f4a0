"""The options form: kinds, errors beside the field, reset, what is marked, the command line that says the same."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crots.cli.main import main
from crots.config import Size, describe, to_plain
from crots.images import write_image
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import ProjectConfig, build_config, load_preset, override, preset_names
from crots_studio.models.option_form import OptionForm, apply_preset, init_command, preset_effect, run_command
from crots_studio.models.words import command_text


@pytest.fixture
def form():
    return OptionForm(ProjectConfig())


def test_every_option_of_every_section_has_a_field_with_help(form):
    for section in SECTIONS:
        for field in form.fields(section):
            assert field.title and field.info.help in field.tooltip
            assert field.kind in ("switch", "choice", "choices", "whole", "text", "path")


def test_a_good_value_reaches_the_configuration_and_is_marked(form):
    assert form.edit("adapt.learning_rate", "3e-5")
    assert form.config.adapt.learning_rate == 3e-5
    field = form.field("adapt.learning_rate")
    assert field.changed and not field.error
    assert field.text == "3e-05"


def test_a_bad_value_stays_in_its_field_and_out_of_the_configuration(form):
    assert not form.edit("adapt.confidence", "1.5")
    field = form.field("adapt.confidence")
    assert field.text == "1.5"
    assert "from 0 to 1" in field.error
    assert form.config.adapt.confidence == 0.968
    assert list(form.errors) == ["adapt.confidence"]
    assert form.edit("adapt.confidence", "0.9")
    assert not form.errors


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("adapt.steps", "-1"),
        ("mine.grid", "4"),
        ("data.size", "x"),
        ("adapt.learning_rate", "nan"),
        ("export.formats", ["gif"]),
    ],
)
def test_each_type_refuses_other_values(form, path, value):
    assert not form.edit(path, value)
    assert form.field(path).error


def test_reset_goes_back_to_the_profile(form):
    form = OptionForm(build_config({}, profile="published"))
    assert form.field("adapt.confidence_from").value == "logit"
    form.edit("adapt.confidence_from", "softmax")
    assert form.field("adapt.confidence_from").changed
    form.reset("adapt.confidence_from")
    assert form.config.adapt.confidence_from == "logit"
    assert not form.field("adapt.confidence_from").changed


def test_reset_of_a_section_leaves_the_others(form):
    form.edit("adapt.steps", 7)
    form.edit("baseline.steps", 8)
    form.edit("adapt.confidence", "7")
    form.reset_section("adapt")
    assert form.config.adapt == ProjectConfig().adapt
    assert form.config.baseline.steps == 8
    assert not form.errors


def test_none_can_be_typed_and_erased(form):
    form.edit("data.size", "512x256")
    assert form.config.data.size == Size(512, 256)
    form.edit("data.size", "")
    assert form.config.data.size is None


def test_the_tooltip_tells_range_default_published_value_and_fault(form):
    text = form.field("adapt.confidence_from").tooltip
    assert "softmax" in text and "published logit" in text and "F2" in text
    assert "no stage becomes stale" in form.field("runtime.device").tooltip


def test_the_command_makes_the_same_project(tmp_path, capsys):
    images = tmp_path / "my images"
    images.mkdir()
    write_image(images / "a.png", np.zeros((64, 64, 3), np.uint8))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "source.pth")
    config = override(
        ProjectConfig(),
        {
            "data.target": str(images),
            "adapt.steps": 7,
            "adapt.patches": False,
            "export.formats": "pth,onnx",
            "data.size": "64x64",
            "student.net": "deeplabv2_resnet18",
            "student.weights": "random",
            "source.file": str(tmp_path / "source.pth"),
        },
    )
    words = shlex.split(init_command(config, tmp_path / "made"))
    assert words[:2] == ["crots", "init"]
    code = main(words[1:])
    assert code == 0, capsys.readouterr().err
    assert Project.open(tmp_path / "made").config == config


def test_the_command_runs_where_the_project_is_already(tmp_path, capsys):
    folder = tmp_path / "it's my \u00fcber \U0001f600 $project"
    images = folder / "images, all"
    settings = {"data.target": "images, all", "student.net": "compact", "student.weights": "random"}
    config = override(ProjectConfig(), {**settings, "source.file": str(tmp_path / "source.pth")})
    Project.create(folder, config)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "source.pth")
    write_image(images / "a.png", np.zeros((64, 64, 3), np.uint8))
    words = shlex.split(init_command(config, folder))
    assert main(words[1:]) == 0, capsys.readouterr().err
    made = Project.open(Path(words[2]))
    assert made.folder == folder.with_name(folder.name + "-2")
    assert made.config.data.target == images


def test_the_run_command_names_the_stage():
    assert run_command(Path("a b"), "mine") == "crots run 'a b' --only mine"


def test_the_question_names_all_that_a_preset_changes_beside_stages():
    assert preset_effect("quick").endswith("also sets network of student: torchvision:lraspp_mobilenet_v3_large.")
    assert "class" in preset_effect("gta5-to-cityscapes") and "working size of images: 1024x512" in preset_effect(
        "gta5-to-cityscapes"
    )
    mine = override(ProjectConfig(), {"data.target": "/images"})
    for name in preset_names():
        made, effect = apply_preset(mine, name), preset_effect(name)
        for section in ("data", "task", "source", "student", "runtime"):
            for field in OptionForm(made).fields(section):
                if field.value != getattr(getattr(mine, section), field.info.name):
                    assert f"{field.title.lower()} of " in effect


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_sets_stages_and_leaves_the_user_s_files(name):
    mine = override(ProjectConfig(), {"data.target": "/images", "task.classes": "camvid", "adapt.mix": "cutmix"})
    made = apply_preset(mine, name)
    profile, values = load_preset(name)
    assert made.profile == profile and made.preset == name
    assert made.data.target == Path("/images")
    assert made.adapt.steps == values["adapt"]["steps"]
    assert made.adapt.mix == "spatialmix"


@given(st.floats(1e-9, 1.0), st.sampled_from(["adapt.learning_rate", "adapt.confidence", "baseline.min_confidence"]))
def test_what_a_field_shows_means_the_value_that_it_has(value, path):
    form = OptionForm(ProjectConfig())
    if form.edit(path, value):
        taken = form.config
        assert form.edit(path, form.field(path).text) and form.config == taken


@given(
    st.text(max_size=60) | st.integers() | st.floats() | st.booleans() | st.lists(st.text(max_size=5), max_size=3),
    st.sampled_from(
        [f"{section}.{info.name}" for section in SECTIONS for info in describe(SECTIONS[section]) if info.stored]
    ),
)
def test_whatever_is_typed_is_taken_or_stands_beside_its_field(value, path):
    form = OptionForm(ProjectConfig())
    if form.edit(path, value):
        taken = form.config
        assert not form.errors and form.edit(path, form.field(path).text)
        assert to_plain(form.config) == to_plain(taken)
    else:
        assert form.errors[path] and form.config == ProjectConfig()
        form.reset(path)
        assert not form.errors


@pytest.mark.parametrize("name", ["a" * 5000, "~nobody_of_this_name/x", "a\0b"])
def test_a_path_that_cannot_be_is_still_a_command(form, tmp_path, name):
    assert form.edit("data.target", name)
    assert name.replace("\0", "") in init_command(form.config, tmp_path).replace("\0", "")


def test_the_commands_fit_the_terminal_of_windows(monkeypatch):
    monkeypatch.setattr("crots_studio.models.words.sys.platform", "win32")
    assert command_text(["crots", "run", r"C:\My images\new", "--only", "mine"]) == (
        r'crots run "C:\My images\new" --only mine'
    )
