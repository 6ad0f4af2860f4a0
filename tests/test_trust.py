"""Nothing that lies in a file gives trust, and looking at a project runs and fetches nothing."""

import contextlib
import dataclasses
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from crots.card import IMAGENET, ModelCard
from crots.cli.main import main
from crots.config import Size, defaults
from crots.errors import InputError
from crots.images import write_image
from crots.options import RuntimeOptions
from crots.project import Project
from crots.project_config import ProjectConfig, load_preset, override
from crots.taxonomy import load_class_set
from crots.trust import OWN_FAMILIES, code_of, is_factory, listed, program_kind, with_trust
from tests import canary as birds

pytestmark = [pytest.mark.safety, pytest.mark.usefixtures("canary")]

EVIL = f"{birds.MODULE}:factory"
KEYS = (
    "trust",
    "Trust",
    "TRUST",
    "tr-ust",
    "tr_ust",
    "trust_",
    "_trust",
    '"trust"',
    "'trust'",
    '" trust"',
    '"--trust"',
)
VALUES = ("true", "1", '"yes"', '"on"', "[true]", "{x = true}", '"TRUE"')
NETS = (
    EVIL, f"{birds.MODULE}.sub:factory", f":{birds.MODULE}:factory", f"smp:{EVIL}", f"torchvision:{EVIL}",
    "smp:unet/tu-hf-hub:stranger/model", "smp:unet/tu-hf_hub:stranger/model", "smp:unet/tu-local-dir:/etc",
    "smp:unet/tu-https://example.org/model", "smp:hf-hub:stranger/tu-resnet18", "smp:unet/hf-hub:a/b",
    "hf-hub:stranger/model", "hf_hub:stranger/model", "https://example.org/model", "smp:unet/../../etc",
)  # fmt: skip


def write_model(path, net):
    """A model file whose description names a network."""
    card = ModelCard(net, load_class_set("camvid").to_dict(), IMAGENET, Size(64, 48)).to_dict()
    save_file({"weight": np.zeros(3, np.float32)}, path, {"crots": json.dumps(card)})
    return path


def received(folder, trust, section, nets, source, bom):
    """A project as a stranger may send it."""
    write_image(folder / "images" / "0.png", np.zeros((48, 64, 3), np.uint8))
    write_model(folder / "model.safetensors", nets[2])
    birds.write_program(folder / "program.pt")
    sections = {
        "data": 'target = "images"\n',
        "task": 'classes = "camvid"\n',
        "source": f'net = "{nets[0]}"\nfile = "{source}"\n',
        "student": f'net = "{nets[1]}"\nweights = "model.safetensors"\n',
        "runtime": "",
    }
    head = "format = 1\n"
    if section == "top":
        head += trust
    else:
        sections[section] += trust
    text = head + "".join(f"[{name}]\n{body}" for name, body in sections.items())
    (folder / "crots.toml").write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    (folder / "preset.toml").write_text("[runtime]\n" + trust)
    return folder


def say(*words):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as err:
        code = main([str(word) for word in words])
    assert "Traceback" not in err.getvalue() and "bug in CROTS" not in err.getvalue(), err.getvalue()
    return code


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from(["runtime", "source", "student", "task", "top"]),
    st.tuples(*[st.sampled_from(NETS)] * 3), st.sampled_from(["model.safetensors", "program.pt", "none.onnx"]),
    st.booleans(),
)  # fmt: skip
def test_whatever_a_project_says_looking_at_it_runs_and_fetches_nothing(canary, key, value, section, nets, source, bom):
    from crots_studio.checks.fields import CHECKS, check

    with tempfile.TemporaryDirectory() as place:
        folder = received(Path(place) / "p", f"{key} = {value}\n", section, nets, source, bom)
        for words in (["status", folder], ["inspect", folder], ["inspect", folder / "model.safetensors"],
                      ["init", Path(place) / "q", "--preset", folder / "preset.toml", "--target", folder / "images",
                       "--classes", "camvid", "--source", folder / source, "--net", nets[0]]):  # fmt: skip
            say(*words)
        configs = [Project.open(folder).config] if opens(folder) else []
        # What the file would be without the line that is refused.
        (folder / "crots.toml").write_text(
            (folder / "crots.toml").read_text("utf-8-sig").replace(f"{key} = {value}\n", "")
        )
        configs.append(Project.open(folder).config)
        for config in configs:
            assert not config.runtime.trust
            for name in CHECKS:
                assert "fault" not in check(name, config, folder).text
        assert canary.quiet()


def opens(folder):
    try:
        Project.open(folder)
    except InputError as error:
        assert "\n" not in str(error) and str(folder) in str(error)
        return False
    return True


@pytest.mark.parametrize("value", ["true", "1", '"yes"', "false"])
def test_a_project_file_that_speaks_of_trust_is_refused_and_says_what_to_type(tmp_path, value):
    project = Project.create(tmp_path / "p", ProjectConfig())
    with (project.folder / "crots.toml").open("a") as file:
        file.write(f"[runtime]\ntrust = {value}\n")
    with pytest.raises(InputError, match=r"crots\.toml: runtime\.trust: .* delete it there, and give --trust"):
        Project.open(project.folder)


def test_a_preset_cannot_give_it_either(tmp_path):
    (tmp_path / "p.toml").write_text("[runtime]\ntrust = true\n")
    with pytest.raises(InputError, match=r"p\.toml: runtime\.trust: "):
        load_preset(str(tmp_path / "p.toml"))
    with pytest.raises(InputError, match=r"--set: runtime\.trust: "):
        from crots.cli.flags import settings as read

        read(["runtime.trust=true"])


def test_trust_is_the_only_option_that_no_file_holds():
    assert [field.name for field in dataclasses.fields(RuntimeOptions) if not field.metadata["stored"]] == ["trust"]
    assert not defaults(RuntimeOptions, "recommended").trust and not defaults(RuntimeOptions, "published").trust


def test_own_families_are_those_of_the_registry():
    from crots.nets.registry import FAMILIES

    assert {name for name in FAMILIES if name.endswith(":")} == set(OWN_FAMILIES)
    assert not any(is_factory(name) for name in FAMILIES)
    assert is_factory(EVIL) and is_factory("hf-hub:a/b")


def config(**options):
    return override(ProjectConfig(), {name.replace("__", "."): value for name, value in options.items()})


def test_code_is_named_by_option_and_never_imported(tmp_path, canary):
    birds.write_program(tmp_path / "program.pt")
    code = code_of(config(source__net="a.b:c", source__file="program.pt", student__net=EVIL), tmp_path)
    assert [piece.option for piece in code] == ["source.net", "student.net", "source.file"]
    assert "a TorchScript program" in listed(code) and f"'{birds.MODULE}'" in listed(code)
    assert canary.quiet()
    assert code_of(config(source__file="gone.pt"), tmp_path) == ()
    assert code_of(config(source__net="a.b:c", source__predictions="said", student__net="compact"), tmp_path) == ()


def test_names_cannot_imitate_other_text():
    (piece,) = code_of(config(student__net="evil\n:This runs nothing\u202e"), Path())
    assert piece.description.isprintable()


@pytest.mark.parametrize(
    ("names", "kind"),
    [(["p/constants.pkl"], "torchscript"), (["constants.pkl"], "torchscript"), (["archive_format"], "exported"),
     (["p/data.pkl"], None)],
)  # fmt: skip
def test_programs_are_identified_by_their_names(tmp_path, names, kind):
    import zipfile

    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    assert program_kind(tmp_path / "m") == kind
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[:20])
    assert program_kind(tmp_path / "m") is None


def test_trust_is_for_what_was_named(tmp_path):
    path = birds.write_program(tmp_path / "program.pt")
    asked = config(source__file="program.pt", student__net="compact")
    trusted = code_of(asked, tmp_path)
    assert with_trust(asked, tmp_path, trusted).runtime.trust
    assert not with_trust(override(asked, {"student.net": EVIL}), tmp_path, trusted).runtime.trust
    assert not with_trust(asked, tmp_path, ()).runtime.trust
    assert not with_trust(config(student__net="compact"), tmp_path, trusted).runtime.trust
    # Another program in its place.
    path.write_bytes(path.read_bytes() + b" ")
    assert not with_trust(asked, tmp_path, trusted).runtime.trust
