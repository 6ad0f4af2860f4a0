"""Large ONNX files are judged by all of them but the numbers of their weights, with the same answer."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from crots.errors import InputError
from crots.nets import onnx_files, onnx_outline
from crots.nets.onnx_files import open_session
from crots.nets.onnx_outline import outline

CPU = torch.device("cpu")


def weights(name, *sides):
    return numpy_helper.from_array(np.ones(sides, np.float32), name)


def model(path, more=(), nodes=(), functions=()):
    """A network with weights in its graph, in an attribute and in a graph within a node."""
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "logits")
    )
    branch = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["chosen"])],
        "branch",
        [],
        [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)],
        [weights("inner", 3, 3, 41, 41)],
    )
    inside = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        helper.make_node("Constant", [], ["w"], value=weights("w", 3, 3, 43, 43)),
        helper.make_node("If", ["yes"], ["v"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["image", "one"], ["moved"]),
        helper.make_node("Conv", ["moved", "w"], ["first"], pads=[21, 21, 21, 21]),
        helper.make_node("Conv", ["first", "v"], ["logits"], pads=[20, 20, 20, 20]),
    ]
    graph = helper.make_graph([*nodes, *inside], "g", [image], [logits], [weights("one", 1, 3, 1, 1), *more])
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, functions=list(functions)
    )
    onnx.save(made, path)
    return path


def function():
    large = helper.make_node("Constant", [], ["c"], value=weights("c", 999, 7))
    return helper.make_function("own", "Unused", [], ["c"], [large], [helper.make_opsetid("", 17)])


def without_numbers(graph):
    for tensor in onnx_files._tensors(graph):
        if len(tensor.raw_data) > 4096:
            tensor.ClearField("raw_data")


def test_an_outline_is_the_model_without_the_numbers_of_its_larger_tensors(tmp_path):
    path = model(tmp_path / "m.onnx", [weights("unused", 512, 512)], functions=[function()])
    expected = onnx.load(path)
    for graph in onnx_files._graphs(expected):
        without_numbers(graph)
    found = outline(path)
    assert onnx.load_model_from_string(found) == expected
    assert len(found) < 4000 < path.stat().st_size / 100


def test_all_that_is_cut_short_is_left_to_the_parser(tmp_path):
    whole = model(tmp_path / "m.onnx").read_bytes()
    for length in (*range(1, 60), len(whole) // 2, len(whole) - 1):
        (tmp_path / "m.onnx").write_bytes(whole[:length])
        try:
            onnx.load(tmp_path / "m.onnx")
        except Exception:
            with pytest.raises(ValueError, match="cut short"):
                outline(tmp_path / "m.onnx")


def wrapped(tag, content):
    return bytes([tag]) + onnx_outline._written(len(content)) + content


def test_what_is_nested_too_deep_is_left_to_the_parser(tmp_path):
    graph = wrapped(0x52, bytes(5000))
    for _ in range(120):
        # A graph in an attribute in a node in a graph.
        graph = wrapped(0x0A, wrapped(0x2A, wrapped(0x32, graph)))
    (tmp_path / "m.onnx").write_bytes(wrapped(0x3A, graph))
    with pytest.raises(ValueError, match="nested too deep"):
        outline(tmp_path / "m.onnx")


@pytest.fixture
def large(monkeypatch):
    """Any file counts as large, and none is parsed as a whole."""
    monkeypatch.setattr(onnx_files, "_LARGE", 0)
    monkeypatch.setattr("onnx.load", lambda *_, **__: pytest.fail("it was parsed as a whole"))


def test_a_large_file_opens_without_being_parsed_as_a_whole(tmp_path, large):
    session = open_session(model(tmp_path / "m.onnx"), CPU)
    (found,) = session.run(None, {"image": np.zeros((1, 3, 50, 50), np.float32)})
    assert found.shape == (1, 3, 50, 50)


def test_what_a_large_file_claims_is_refused_as_ever(tmp_path, large):
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [10**5, 10**5])
    node = helper.make_node("ConstantOfShape", ["shape"], ["made"])
    with pytest.raises(InputError, match=r"its tensors would take 80\.0 GB"):
        open_session(model(tmp_path / "m.onnx", [shape], [node]), CPU)
    outside = weights("o", 9)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../data.bin")
    with pytest.raises(InputError, match="expected a file in its own folder"):
        open_session(model(tmp_path / "m.onnx", [outside]), CPU)


def test_a_large_file_that_is_damaged_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_files, "_LARGE", 0)
    path = model(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="cannot be read as an ONNX file"):
        open_session(path, CPU)
