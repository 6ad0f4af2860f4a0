"""How a student starts, as far as it is known without reading a file, and by reading it once."""

from safetensors.torch import save_file

from crots.opening import Inputs
from crots.outlook import may_be_fewer, outlook, to_run
from crots.project import Project
from crots.project_config import override
from crots.project_status import statuses
from crots.student_start import StudentStart, foreseen
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


def test_what_an_encoder_s_file_decides_is_foreseen_everywhere(tmp_path):
    """`crots status` said that the rounds wait, where the studio, which reads the file, said that none is needed."""
    from crots.config import Size
    from crots.nets.model import create_model

    project = make_fake_project(tmp_path, until="")
    net = create_model("compact", Inputs(project.config, project.folder).classes, Size(64, 64)).net
    whole = net.state_dict()
    encoder = {name: value for name, value in whole.items() if not name.startswith("classify")}
    for name, tensors, state in (("whole", whole, "waiting"), ("encoder", encoder, "not needed")):
        save_file(tensors, tmp_path / f"{name}.safetensors")
        weights = str(tmp_path / f"{name}.safetensors")
        project = changed(project, student__net="compact", student__weights=weights)
        start = StudentStart()
        start.read(project)
        studio = outlook(project, statuses(project, busy=False), start.known(project))
        assert foreseen(project, busy=False) == studio
        assert {stage.key: stage.state for stage in studio}["adapt-1"] == state
