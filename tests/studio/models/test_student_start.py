"""How a student starts, as far as it is known without reading a file, and by reading it once."""

from crots.opening import Inputs
from crots.outlook import may_be_fewer, outlook, to_run
from crots.project import Project
from crots.project_config import override
from crots.project_status import statuses
from crots_studio.models.student_start import StudentStart
from tests.studio.fake_project import make_fake_project, write_placeholder_model


def changed(project, **settings):
    values = {name.replace("__", "."): value for name, value in settings.items()}
    return Project(project.folder, override(project.config, values))


def test_a_student_with_the_source_s_weights_runs_as_many_rounds_as_help(tmp_path):
    project = make_fake_project(tmp_path, until="")
    write_placeholder_model(tmp_path / "source.safetensors", Inputs(project.config, project.folder).classes)
    project = changed(
        project,
        source__predictions="none",
        source__confidence="none",
        source__file=str(tmp_path / "source.safetensors"),
        student__weights="source",
    )
    assert StudentStart().known(project) == "trained"
    found = outlook(project, statuses(project, busy=False), "trained")
    assert len(to_run(found)) == 7 and may_be_fewer(project, found)


def test_a_file_of_weights_is_read_once(tmp_path, monkeypatch):
    project = make_fake_project(tmp_path, until="")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    project, start = changed(project, student__weights=str(tmp_path / "weights.pth")), StudentStart()
    assert start.known(project) is None and start.unread(project)
    reads = []
    monkeypatch.setattr(Inputs, "start", property(lambda self: reads.append(self) or "pretrained"))
    start.read(project)
    assert start.known(project) == "pretrained" and not start.unread(project) and len(reads) == 1
    (tmp_path / "weights.pth").write_bytes(b"other weights")
    assert start.known(project) is None and start.unread(project)


def test_a_file_that_cannot_be_read_is_not_read_for_ever(tmp_path):
    project = make_fake_project(tmp_path, until="")
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    project, start = changed(project, student__weights=str(tmp_path / "weights.pth")), StudentStart()
    start.read(project)
    assert start.known(project) is None and not start.unread(project)
    gone = changed(project, student__weights=str(tmp_path / "gone.pth"))
    assert start.known(gone) is None and not start.unread(gone), "Set-up says so"
