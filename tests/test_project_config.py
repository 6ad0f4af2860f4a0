from typing import get_type_hints

import pytest

from crots.errors import InputError
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import ProjectConfig, build_config, load_preset, override, preset_names

pytestmark = pytest.mark.safety


def test_a_saved_project_opens_the_same(tmp_path):
    config = build_config({"data": {"target": str(tmp_path)}, "adapt": {"rounds": 2}})
    project = Project.create(tmp_path / "project", config)
    assert Project.open(project.folder).config == project.config == config


def test_the_sections_are_those_that_options_list_in_their_order():
    hints = {name: kind for name, kind in get_type_hints(ProjectConfig).items() if name not in ("profile", "preset")}
    assert list(hints.items()) == list(SECTIONS.items())


def test_presets_are_valid_and_the_published_ones_state_their_length():
    assert {"gta5-to-cityscapes", "synthia-to-cityscapes", "quick"} <= set(preset_names())
    for name in preset_names():
        profile, values = load_preset(name)
        config = build_config(values, profile=profile, preset=name)
        assert "steps" in values["adapt"] and "steps" in values["baseline"], name
        if profile == "published":
            assert (config.adapt.learning_rate, config.baseline.learning_rate, config.adapt.batch) == (1e-5, 1e-4, 4)
            assert config.adapt.confidence_from == "logit"
    assert load_preset("gta5-to-cityscapes")[1]["mine"]["rare"] == "6,7,12,16,17,18"
    assert load_preset("synthia-to-cityscapes")[1]["mine"]["rare"] == "6,7,12,17,18"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("format = 7", "another version"),
        ("", "found no format, expected `format = 1`"),
        ("[data]\ntarget = 'x'", "cut off or none of a project"),
        ("format = ", "cannot be read as TOML"),
        ("format = 1\nprofile = 'best'", "profile 'best'"),
        ("format = 1\n[adapt]\nstps = 3", "did you mean steps"),
        ("format = 1\n[adpt]\nsteps = 3", "did you mean adapt"),
        ("format = 1\nadapt = 3", "expected a table"),
    ],
)
def test_a_broken_project_file_is_named(tmp_path, text, part):
    (tmp_path / "crots.toml").write_text(text)
    with pytest.raises(InputError, match=part) as error:
        Project.open(tmp_path)
    assert str(tmp_path / "crots.toml") in str(error.value)


def test_trust_is_never_stored(tmp_path):
    project = Project.create(tmp_path / "project", override(ProjectConfig(), {"runtime.trust": "yes"}))
    assert Project.open(project.folder).config.runtime.trust is False
