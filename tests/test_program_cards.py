"""The classes that an ONNX file or a program names are known without running it, whatever else the file holds."""

import json
import random
import zipfile

import pytest
import torch
from onnx import TensorProto, helper

from crots.card import CARD_KEY, ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.opening import Inputs
from crots.program_cards import CARD_FILE, program_card
from crots.project_config import ProjectConfig, override
from crots.source_inputs import card_of
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

CLASSES = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
CARD = ModelCard("compact", CLASSES.to_dict(), Normalisation(), Size(64, 32))


def write_onnx(path, metadata):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Identity", ["image"], ["out"])]
    graph = helper.make_graph(nodes, "g", [image], [out], doc_string="x" * 999)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string="any")
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    return path


def write_torchscript(path, about):
    traced = torch.jit.trace(torch.nn.Identity(), (torch.zeros(1),))
    torch.jit.save(traced, str(path), _extra_files={CARD_FILE: json.dumps(about)} if about else {})
    return path


def write(folder, form, about):
    if form == "onnx":
        return write_onnx(folder / "m.onnx", {"other": "1", **({CARD_KEY: json.dumps(about)} if about else {})})
    return write_torchscript(folder / "m.pt", {CARD_KEY: about} if about else None)


FORMS = ("onnx", "torchscript")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_the_card_of_a_program_is_read_alike_with_and_without_torch(tmp_path, form):
    path = write(tmp_path, form, CARD.to_dict())
    assert program_card(path) == card_of(path) == CARD
    inputs = Inputs(override(ProjectConfig(), {"source.file": str(path)}), tmp_path)
    assert inputs.implied_classes == inputs.source_classes == CLASSES
    # It is no network of that name, whose weights a student could take.
    assert inputs.source_net != CARD.net and not inputs.source_fits_student


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_programs_without_a_card_and_with_another_versions(tmp_path, form):
    assert program_card(write(tmp_path, form, None)) is None
    with pytest.raises(InputError, match="written by another version of CROTS"):
        program_card(write(tmp_path, form, {"net": "x", "later": 1}))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_damaged_programs_have_a_card_or_none(tmp_path, form):
    path = write(tmp_path, form, CARD.to_dict())
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(300):
        broken = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(4)):
            if broken:
                broken[chance.randrange(len(broken))] = chance.randrange(256)
        path.write_bytes(broken)
        try:
            found = program_card(path)
        except InputError:
            continue
        assert found is None or isinstance(found, ModelCard)


def test_other_files_have_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/extra/crots.json", "[1]")
    (tmp_path / "long.onnx").write_bytes(b"\xff" * 100)
    (tmp_path / "far.onnx").write_bytes(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("a.zip", "long.onnx", "far.onnx", "folder.onnx", "gone.onnx"):
        assert program_card(tmp_path / name) is None
