import pytest

from crots.errors import InputError
from crots.project import Project
from crots.project_config import ProjectConfig

pytestmark = pytest.mark.safety


def test_no_project_and_a_second_one_are_refused(tmp_path):
    project = Project.create(tmp_path / "project", ProjectConfig())
    with pytest.raises(InputError, match="the folder of a project"):
        Project.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already holds"):
        Project.create(project.folder, project.config)
