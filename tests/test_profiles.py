import pytest

from crots.config import PROFILES, profile_named
from crots.errors import InputError
from crots.project import Project
from crots.project_config import ProjectConfig, load_preset


def test_a_project_of_version_0_1_names_its_profile_as_it_was(tmp_path):
    project = Project.create(tmp_path / "p", ProjectConfig())
    text = (project.folder / "crots.toml").read_text()
    assert 'profile = "recommended"' in text
    (project.folder / "crots.toml").write_text(text.replace("recommended", "corrected"))
    assert Project.open(project.folder).config == project.config


def test_a_preset_of_version_0_1_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text('profile = "corrected"\n[adapt]\nsteps = 7\n')
    assert load_preset(str(tmp_path / "mine.toml")) == ("recommended", {"adapt": {"steps": 7}})


def test_no_other_name_is_a_profile(tmp_path):
    assert [profile_named(name) for name in PROFILES] == list(PROFILES)
    assert profile_named("corrected") == "recommended"
    assert all(profile_named(name) is None for name in ("", "best", None, 3, ["recommended"]))
    (tmp_path / "mine.toml").write_text('profile = "best"\n')
    with pytest.raises(InputError, match="recommended, published"):
        load_preset(str(tmp_path / "mine.toml"))
