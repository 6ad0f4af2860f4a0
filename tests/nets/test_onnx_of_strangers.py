"""An ONNX file needs no trust, so onnxruntime must keep it inside its folder and inside its memory.

The lowest onnxruntime that passes these is the lowest that the project allows.
"""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from crots.config import Size
from crots.errors import InputError
from crots.nets.source import open_source
from crots.options import SourceOptions
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

CLASSES = ClassSet.from_dict({"name": "ab", "names": ["a", "b"]})
TOLD = SourceOptions(channels="rgb", mean="0", scale="1", output="logits")
SECRET = np.arange(6, dtype=np.float32)


def values_in(location, offset=0):
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[SECRET.size], data_location="EXTERNAL")
    for key, value in (("location", location), ("offset", offset), ("length", SECRET.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def write_model(path, values, *, sparse):
    """A 1x1 convolution whose weights lie in another file."""
    weights = {"initializer": [values]}
    if sparse:
        indices = helper.make_tensor("i", TensorProto.INT64, [SECRET.size], range(SECRET.size))
        weights = {"sparse_initializer": [onnx.SparseTensorProto(values=values, indices=indices, dims=[SECRET.size])]}
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [2, 3, 1, 1])
    weights["initializer"] = [*weights.get("initializer", []), shape]
    nodes = [helper.make_node("Reshape", ["weight", "shape"], ["w"]), helper.make_node("Conv", ["image", "w"], ["out"])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [image], [out], **weights)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )
    return path


def opened(path):
    return open_source(path, options=TOLD, classes=CLASSES, size=Size(16, 8))


@pytest.fixture
def model(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET.tobytes())
    return tmp_path / "model" / "m.onnx"


def test_weights_beside_the_model_are_read(model):
    model.parent.mkdir()
    (model.parent / "weights").write_bytes(SECRET.tobytes())
    source = opened(write_model(model, values_in("weights"), sparse=False))
    logits = source.logits(torch.ones((1, 3, 8, 16), dtype=torch.uint8))
    assert logits[0, :, 0, 0].tolist() == [SECRET[:3].sum(), SECRET[3:].sum()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SECRET.tobytes()[:4], "cut short: it holds 4 bytes, expected"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
    ],
)
def test_weights_beside_the_model_that_are_not_whole_are_named(model, content, message):
    model.parent.mkdir()
    (model.parent / "weights").write_bytes(content[:23])
    with pytest.raises(InputError, match=f"its weights lie in weights, which is {message}"):
        opened(write_model(model, values_in("weights"), sparse=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "ir_version", 99), r"IR version: 99.*update onnxruntime"),
        (lambda model: setattr(model.opset_import[0], "version", 99), r"Opset 99.*update onnxruntime"),
        (lambda model: setattr(model.graph.node[0], "domain", "shop"), r"operators of another program; export it with"),
    ],
)
def test_why_a_file_cannot_be_opened_is_reported_whole(tmp_path, change, message):
    node = helper.make_node("Identity", ["image"], ["out"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "out")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    change(made)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(InputError, match=message) as caught:
        opened(tmp_path / "m.onnx")
    assert "ONNXRuntimeError" not in str(caught.value) and "onnxruntime_src" not in str(caught.value)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="an empty file; copy or download it again"):
        opened(tmp_path / "m.onnx")


@pytest.mark.parametrize(("start", "message"), [(b"\x1f\x8b\x08", "gzip"), (b"<!DOCTYPE html>", "web page")])
def test_files_of_other_kinds_are_named(tmp_path, start, message):
    (tmp_path / "m.onnx").write_bytes(start + bytes(50))
    with pytest.raises(InputError, match=message):
        opened(tmp_path / "m.onnx")


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("place", ["above", "through a folder", "absolute"])
def test_weights_outside_the_folder_of_the_model_are_not_read(model, place, sparse):
    where = {"above": "../secret", "through a folder": "inner/../../secret", "absolute": model.parents[1] / "secret"}
    (model.parent / "inner").mkdir(parents=True)
    with pytest.raises(InputError):
        opened(write_model(model, values_in(where[place]), sparse=sparse))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("linked", ["secret", ""], ids=["file", "folder"])
def test_weights_behind_a_link_that_leads_out_are_not_read(model, linked, sparse):
    model.parent.mkdir()
    try:
        (model.parent / "link").symlink_to(model.parents[1] / linked)
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.raises(InputError):
        opened(write_model(model, values_in("link" if linked else "link/secret"), sparse=sparse))


def test_weights_at_an_address_in_memory_are_not_read(model):
    with pytest.raises(InputError):
        opened(write_model(model, values_in("*/_ORT_MEM_ADDR_/*", SECRET.ctypes.data), sparse=False))


RESIZE = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
try:
    session.run(None, {"image": numpy.zeros((1, 1, 4, 4), numpy.float32), "scales": numpy.ones(100_000, numpy.float32)})
except Exception:
    sys.exit(7)
"""


def test_scales_beyond_the_image_are_refused_and_do_not_overwrite_memory(tmp_path):
    node = helper.make_node("Resize", ["image", "", "scales"], ["out"], mode="nearest")
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 4, 4]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, ["n"]),
    ]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "m.onnx")
    # In a process of its own, which older versions end with a signal.
    ran = subprocess.run([sys.executable, "-c", RESIZE, str(tmp_path / "m.onnx")], check=False, capture_output=True)
    assert ran.returncode == 7, ran.stderr
