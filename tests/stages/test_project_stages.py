from crots.artefacts import section_of, stage_kind
from crots.options import SECTIONS
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.stages.project_stages import STAGES


def test_every_stage_of_a_project_has_a_generator_and_options(tmp_path):
    project = Project(tmp_path, override(ProjectConfig(), {"data.val_labels": "labels"}))
    assert {stage_kind(key) for key in project.stage_keys()} == set(STAGES)
    assert {section_of(key) for key in STAGES} <= set(SECTIONS)
