"""``--trust``: typed for one run, announced by init, never kept, and for nothing but what the options name."""

import json
import sys

import pytest
import torch

from crots.config import Size
from crots.nets.model import create_model
from crots.nets.quiet import torch_jit
from crots.nets.weights import save_safetensors
from crots.project import Project
from crots.taxonomy import load_class_set
from tests import canary as birds

pytestmark = pytest.mark.safety

EVIL = f"{birds.MODULE}:factory"


@pytest.fixture
def evil_model(canary, tmp_path, monkeypatch):
    """A model file whose description names the canary; made while it may sing."""
    model = create_model(EVIL, load_class_set("camvid"), Size(64, 64), trust=True)
    save_safetensors(tmp_path / "model.safetensors", model.net, model.card)
    (canary.folder / "sung").unlink()
    monkeypatch.delitem(sys.modules, birds.MODULE)
    return tmp_path / "model.safetensors"


@pytest.fixture
def words(city):
    return ["--target", city / "images" / "train", "--classes", "camvid", "--set", "data.size=64x64"]


def test_init_takes_the_flag_says_what_it_is_for_and_does_not_keep_it(crots, words, evil_model, canary, tmp_path):
    ran = crots("init", tmp_path / "p", *words, "--source", evil_model, "--net", EVIL, "--trust")
    assert ran.code == 0, ran.err
    assert "start every run with --trust, which no project keeps" in ran.out and f"'{birds.MODULE}'" in ran.out
    assert ran.out.strip().endswith("--trust")
    assert "trust" not in (tmp_path / "p" / "crots.toml").read_text()
    assert not Project.open(tmp_path / "p").config.runtime.trust
    assert canary.quiet()


def test_init_without_it_says_so_too(crots, words, canary, tmp_path):
    birds.write_program(tmp_path / "m.pt")
    ran = crots("init", tmp_path / "p", *words, "--source", tmp_path / "m.pt", "--student", EVIL, "--json",
                "--student-weights", "random")  # fmt: skip
    found = json.loads(ran.out)
    assert [row["option"] for row in found["code"]] == ["student.net", "source.file"]
    assert any("start every run with --trust" in line for line in found["warnings"])
    assert canary.quiet()


def test_init_says_where_it_is_needless(crots, words, weights, tmp_path):
    ran = crots("init", tmp_path / "p", *words, "--source", weights, "--net", "deeplabv2_resnet18", "--trust")
    assert "--trust is not needed" in ran.out


def test_a_run_is_refused_without_it_and_says_first_what_it_runs_with_it(crots, words, evil_model, canary, tmp_path):
    crots("init", tmp_path / "p", *words, "--source", evil_model, "--net", EVIL)
    ran = crots("run", tmp_path / "p", "--until", "pseudo-label", "--device", "cpu")
    assert ran.code == 2 and "--trust" in ran.err and canary.quiet()
    ran = crots("run", tmp_path / "p", "--until", "pseudo-label", "--device", "cpu", "--trust", "--events", "-")
    assert ran.code == 0, ran.err
    notes = [event for line in ran.out.splitlines() if (event := json.loads(line))["event"] == "Note"]
    assert "third-party code" in notes[0]["text"] and f"'{birds.MODULE}'" in notes[0]["text"]
    assert canary.sung


@pytest.mark.parametrize("what", ["source", "student"])
def test_trust_in_one_item_does_not_extend_to_another(crots, words, weights, evil_model, canary, tmp_path, what):
    """A program is trusted; what files in the project say of themselves is not."""
    program = tmp_path / "program.pt"
    with torch_jit():
        torch.jit.trace(torch.nn.Conv2d(3, 11, 1), torch.zeros(1, 3, 64, 64)).save(str(program))
    found = ["--source-channels", "rgb", "--source-mean", "0", "--source-scale", "1", "--source-output", "logits"]
    crots("init", tmp_path / "p", *words, "--source", program, *found, "--student", "deeplabv2_resnet18",
          "--student-weights", "random")  # fmt: skip
    project = Project.open(tmp_path / "p")
    if what == "source":
        ran = crots("init", tmp_path / "q", *words, "--source", evil_model, "--trust")
        assert ran.code == 2 and f"--net {EVIL}" in ran.err
        # Another file in its place since.
        evil_model.replace(program)
        ran = crots("run", project.folder, "--only", "pseudo-label", "--device", "cpu", "--trust")
        assert ran.code == 2 and f"source.net {EVIL}" in ran.err
    else:
        folder = project.stage_folder("baseline")
        folder.mkdir()
        evil_model.rename(folder / "student.safetensors")
        ran = crots("run", project.folder, "--only", "export", "--device", "cpu", "--trust")
        assert ran.code == 2 and "baseline" not in ran.out
        bench_refuses(project, folder / "student.safetensors")
    assert canary.quiet()


def bench_refuses(project, path):
    from crots.errors import InputError
    from crots.project_config import override
    from crots.stages.workbench import Workbench

    config = override(project.config, {"runtime.trust": True})
    with pytest.raises(InputError, match="would run code"):
        Workbench(config, project.folder, None, "export").load_student(path)


def test_inspecting_says_what_a_file_names_and_does_not_call_it(crots, evil_model, canary):
    ran = crots("inspect", evil_model)
    assert ran.code == 0 and EVIL in ran.out and "is not called" in ran.out
    ran = crots("inspect", evil_model, "--net", EVIL, "--classes", "camvid")
    assert "is not called" in ran.out and canary.quiet()


@pytest.mark.parametrize("net", ["smp:unet/tu-hf-hub:a/b", "smp:unet/tu-local-dir:/etc", "hf-hub:a/b"])
def test_inspecting_an_untrusted_model_asks_nobody(crots, evil_model, canary, net):
    content = evil_model.read_bytes()
    assert EVIL.encode() in content
    from safetensors.torch import load_file, save_file

    tensors = load_file(evil_model)
    from crots.nets.reading import read_weights

    card = read_weights(evil_model).card.to_dict() | {"net": net}
    save_file(tensors, evil_model, {"crots": json.dumps(card)})
    ran = crots("inspect", evil_model)
    assert ran.code in (0, 1) and canary.quiet()


def test_data_of_an_onnx_file_lie_beside_it_or_nowhere(crots, tmp_path):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    (tmp_path / "secret.bin").write_bytes(np.ones(3, np.float32).tobytes())
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../secret.bin")
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 3])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 4, 3])]
    graph = helper.make_graph([helper.make_node("Add", ["image", "w"], ["logits"])], "g", inputs, outputs, [weight])
    path = tmp_path / "model" / "m.onnx"
    path.parent.mkdir()
    path.write_bytes(helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
                     .SerializeToString())  # fmt: skip
    ran = crots("inspect", path)
    assert ran.code == 1 and "'../secret.bin', expected a file in its own folder" in ran.out
