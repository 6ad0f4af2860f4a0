"""Model files that claim more than they hold, or more than there is room for; nothing is allocated for them."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from crots import limits
from crots.card import read_card
from crots.cli.main import main
from crots.cli.models import inspect_model
from crots.config import Size
from crots.errors import InputError
from crots.nets.claims import claimed_by_pickles
from crots.nets.model import create_model
from crots.nets.onnx_files import open_session
from crots.nets.reading import file_kind, read_weights
from crots.nets.reasons import parsed
from crots.nets.registry import net_bytes
from crots.nets.weights import load_model
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

CPU = torch.device("cpu")
ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
# Like that of test_reading: one shared file a test, whose content each example replaces.
WILD = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def defaults():
    limits.use({})
    yield
    limits.use({})


def replaced(path, old, new):
    """Replaces bytes of the pickle in an archive, and packs it anew with right checksums."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(packed, "w") as after:
        for name in before.namelist():
            member = before.read(name)
            if name.endswith("data.pkl"):
                assert old in member
                member = member.replace(old, new)
            after.writestr(name, member)
    path.write_bytes(packed.getvalue())
    return path


def long(number):
    return b"\x8a\x09" + number.to_bytes(9, "little")


@pytest.mark.parametrize("new", [True, False])
def test_a_tensor_that_repeats_one_number(tmp_path, new):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(1).expand(25 * 10**9)}, path, _use_new_zipfile_serialization=new)
    assert path.stat().st_size < 4000
    with pytest.raises(InputError, match=r"its tensors would take 100.0 GB .* the limit is 2 GB.*--max-input-gb"):
        read_weights(path)


def test_many_tensors_of_one_storage_add_up(tmp_path):
    path = tmp_path / "w.pth"
    one = torch.zeros(1)
    torch.save({f"w{number}": one.expand(10**8) for number in range(6)}, path)
    with pytest.raises(InputError, match=r"2.4 GB"):
        read_weights(path)


def test_small_repeated_tensors_are_read(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"ids": torch.arange(5).expand(3, 5), "w": torch.zeros(1).expand(4), "t": torch.ones(2, 3).T}, path)
    assert {key: tensor.shape for key, tensor in read_weights(path).tensors.items()} == {
        "ids": (3, 5), "w": (4,), "t": (3, 2),
    }  # fmt: skip


def test_nan_in_a_repeated_tensor_is_seen(tmp_path):
    torch.save({"w": torch.tensor([float("nan")]).expand(4)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="NaN or infinity in w"):
        read_weights(tmp_path / "w.pth")


def test_a_storage_larger_than_its_entry_is_not_read_past_its_end(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(113)}, path)
    # Both the storage's length and the tensor's.
    replaced(path, b"K\x71", long(10**8))
    with pytest.raises(InputError, match="truncated, damaged"):
        read_weights(path)


def test_large_strides_count_all_elements_that_they_span(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(113, 2)}, path)
    # (113, 2) with strides (2, 1): the second number apart is the stride.
    replaced(path, b"K\x02K\x01\x86", long(10**9) + b"K\x01\x86")
    with pytest.raises(InputError, match=r"would take 448.0 GB"):
        read_weights(path)


def test_an_archive_of_zeros(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(3)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data/7", bytes(3 * 10**6))
    limits.use({"max_input_gb": 0.002})
    with pytest.raises(InputError, match=r"would take 0.0 GB .*limit is 0.002 GB"):
        read_weights(path)


class Buffer:
    """Unpickled, it asks for a bytearray, which torch allows."""

    def __reduce__(self):
        return bytearray, (10**11,)


def test_a_buffer_asked_for_by_its_length(tmp_path):
    torch.save({"w": torch.zeros(3), "b": Buffer()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"would take 100.0 GB"):
        read_weights(tmp_path / "w.pth")


def test_the_first_reading_runs_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").mkdir, ()

    torch.save({"w": Evil()}, tmp_path / "w.pth")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Evil()))
    claimed_by_pickles(tmp_path / "w.pth")
    claimed_by_pickles(tmp_path / "plain.pkl")
    assert not (tmp_path / "ran").exists()


def test_a_file_larger_than_the_limit(tmp_path):
    save_file({"w": torch.zeros(1000)}, tmp_path / "w.safetensors")
    limits.use({"max_input_gb": 0.001})
    read_weights(tmp_path / "w.safetensors")
    save_file({"w": torch.zeros(10**6)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="the file would take"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("odd", [torch.zeros(2, 2).to_sparse(), torch.zeros(2, device="meta")])
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_tensors_without_plain_numbers_are_refused(tmp_path, odd):
    torch.save({"w": odd}, tmp_path / "w.pth")
    with pytest.raises(InputError):
        read_weights(tmp_path / "w.pth")


def checkpoint(folder):
    torch.save({"w": torch.ones(3, 2), "b": torch.ones(3)}, folder / "c.pth")
    return folder / "c.pth"


def legacy(folder):
    torch.save({"w": torch.ones(3, 2)}, folder / "l.pth", _use_new_zipfile_serialization=False)
    return folder / "l.pth"


def tensors(folder):
    save_file({"w": torch.ones(3, 2)}, folder / "s.safetensors", {"format": "pt"})
    return folder / "s.safetensors"


def program(folder, more=(), nodes=(), path="m.onnx"):
    weight = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "logits")]
    conv = helper.make_node("Conv", ["image", "w"], ["logits"])
    graph = helper.make_graph([*nodes, conv], "g", ends[:1], ends[1:], [weight, *more])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / path)
    return folder / path


@pytest.mark.parametrize("make", [checkpoint, legacy, tensors, program])
@WILD
@given(data=st.data())
def test_damaged_model_files_are_one_line(tmp_path, make, data):
    path = make(tmp_path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.sampled_from([0, 1, 2, 8, 50]))
        content[place : place + length] = data.draw(st.binary(max_size=8))
        content = content or bytearray(b"x")
    path.write_bytes(bytes(content))
    # Says what is wrong among its problems, and raises nothing else.
    inspect_model(path, classes=None, net=None)


def test_names_in_an_onnx_file_that_are_no_text_are_one_line(tmp_path):
    path = program(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"logits", b"\x80ogits"))
    found = inspect_model(path, classes=None, net=None)
    assert found["problems"] and "cannot be read as an ONNX file" in str(found["problems"])


@pytest.mark.parametrize("name", ["m.onnx", "m.pth", "m.safetensors", "m.pt2"])
@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"{", struct.pack("<Q", 2**63) + b"{}",
                                     struct.pack("<Q", 2) + b"{}", b"\x80\x02.", b"\x08\x08"])  # fmt: skip
def test_short_files_are_one_line(tmp_path, capsys, name, content):
    (tmp_path / name).write_bytes(content)
    assert main(["inspect", str(tmp_path / name)]) in (0, 1)
    assert "fault" not in capsys.readouterr().err


def test_a_damaged_archive_is_one_line_in_inspect(tmp_path):
    path = checkpoint(tmp_path)
    content = bytearray(path.read_bytes())
    # The method of the first entry in the central directory.
    place = content.index(b"PK\x01\x02")
    content[place + 28 : place + 30] = b"\xff\xff"
    path.write_bytes(bytes(content))
    assert inspect_model(path, classes=None, net=None)["problems"]
    with pytest.raises(InputError, match="damaged"):
        read_weights(path)


def unreadable(path, error):
    return InputError(f"{path}: {type(error).__name__}")


def test_what_is_no_fault_of_the_file_stays_what_it_is(tmp_path):
    for error in (MemoryError, KeyboardInterrupt):
        with pytest.raises(error), parsed(tmp_path / "f", unreadable):
            raise error
    with pytest.raises(MemoryError), parsed(tmp_path / "f", unreadable):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


class Panic(BaseException):
    """As the exceptions of libraries in Rust are."""


def test_even_what_is_no_exception_is_reported_in_one_line(tmp_path):
    with pytest.raises(InputError, match="Panic"), parsed(tmp_path / "f", unreadable):
        raise Panic


@pytest.mark.parametrize("place", ["../data.bin", "/etc/passwd", "sub/../../data.bin", "linked.bin", "missing.bin", ""])
def test_data_outside_an_onnx_file_stay_in_its_folder(tmp_path, place):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "data.bin").write_bytes(bytes(36))
    if place == "linked.bin":
        try:
            (folder / place).symlink_to(tmp_path / "data.bin")
        except OSError:
            pytest.skip("no links here")
    outside = helper.make_tensor("o", TensorProto.FLOAT, [9], list(range(9)))
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=place)
    words = "which is missing; copy it to" if place == "missing.bin" else "expected a file in its own folder"
    with pytest.raises(InputError, match=words):
        open_session(program(folder, [outside]), CPU)


def test_data_beside_an_onnx_file_are_read(tmp_path):
    path = program(tmp_path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="data.bin", size_threshold=0)
    assert (tmp_path / "data.bin").is_file()
    assert open_session(path, CPU).get_inputs()[0].name == "image"


@pytest.mark.parametrize(
    "node", ["ConstantOfShape", "Expand", "Tile", "RandomNormal", "Range"],
)  # fmt: skip
def test_a_constant_that_an_onnx_file_makes_is_counted(tmp_path, node):
    sides = [10**5, 10**5]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], sides)
    numbers = [
        helper.make_tensor(name, TensorProto.INT64, [], [value]) for name, value in (("f", 0), ("t", 10**11), ("s", 1))
    ]
    one = helper.make_tensor("one", TensorProto.FLOAT, [1, 1], [1.0])
    inputs = {"ConstantOfShape": ["shape"], "RandomNormal": [], "Range": ["f", "t", "s"]}.get(node, ["one", "shape"])
    more = {"shape": sides} if node == "RandomNormal" else {}
    made = helper.make_node(node, inputs, ["made"], **more)
    with pytest.raises(InputError, match=r"its tensors would take 80.0 GB|its tensors would take 800.0 GB"):
        open_session(program(tmp_path, [shape, one, *numbers], [made]), CPU)


def test_what_an_onnx_file_takes_and_gives_is_bounded(tmp_path):
    path = program(tmp_path)
    model = onnx.load(path)
    for side, value in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 10**6, 10**6), strict=True):
        side.dim_value = value
    onnx.save(model, path)
    with pytest.raises(InputError, match="'image'"):
        open_session(path, CPU)


def card():
    return create_model("compact", ABC, Size(32, 32)).card.to_dict()


PLAIN = card()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(value, before=()):
    """Every place in plain data."""
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*before, key))


def with_value(value, place, new):
    if not place:
        return new
    changed = value.copy()
    changed[place[0]] = with_value(value[place[0]], place[1:], new)
    return changed


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(list(paths(PLAIN))), new=ANYTHING)
def test_a_card_is_read_or_refused_by_file_and_key(tmp_path_factory, place, new):
    values = with_value(PLAIN, place, new)
    try:
        found = read_card(json.dumps(values), tmp_path_factory.getbasetemp() / "f.safetensors")
    except InputError as error:
        assert (
            "f.safetensors: its description was written by another version of CROTS" in str(error)
            and len(str(error)) < 1000
        )
    else:
        # What is taken over is as good as what was written.
        again = read_card(json.dumps(found.to_dict()), tmp_path_factory.getbasetemp())
        assert again == found
        assert len(ClassSet.from_dict(found.classes)) >= 1


@settings(max_examples=100, deadline=None)
@given(key=st.sampled_from(["net", "classes", "normalisation", "size"]))
def test_a_card_without_what_it_needs_names_the_key(tmp_path_factory, key):
    values = {name: value for name, value in PLAIN.items() if name != key}
    with pytest.raises(InputError, match=key):
        read_card(json.dumps(values), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("normalisation", "scale"), [0.0, 1.0, 1.0]),
        (("normalisation", "scale"), [float("nan"), 1.0, 1.0]),
        (("normalisation", "mean"), [1e300, 1.0, 1.0]),
        (("normalisation", "channels"), "cmyk"),
        (("size",), [10**6, 10**6]),
        (("size",), [-512, -256]),
        (("size",), [True, 512]),
        (("oracle",), 1),
        (("net",), "x" * 1001),
        (("classes", "names"), ["x"] * 10**6),
        (("classes", "names"), ["x", "x"]),
        (("classes", "names"), [str(number) for number in range(10**6)]),
        (("classes", "palette"), [[1, 2, 3]]),
        (("classes", "raw_ids"), {"\u0663": 0}),
        (("classes", "raw_ids"), {"9" * 5000: 0}),
    ],
)
def test_values_that_no_card_may_have(tmp_path, key, value):
    with pytest.raises(InputError, match=key[-1]) as raised:
        read_card(json.dumps(with_value(PLAIN, key, value)), tmp_path / "f")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("text", ["[" * 10**5, "{" * 10**5, '{"a":' * 10**5, "null", "3", "", '"x"', "9" * 5000,
                                  '{"net":' + '{"a":' * 80 + "1" + "}" * 81])  # fmt: skip
def test_text_that_is_no_card(tmp_path, text):
    with pytest.raises(InputError, match="description"):
        read_card(text, tmp_path / "f")


def test_a_card_of_many_megabytes_is_not_parsed(tmp_path):
    with pytest.raises(InputError, match="expected at most 16,000,000"):
        read_card(" " * 17_000_000, tmp_path / "f")


def test_a_card_whose_parts_hold_each_other_ends(tmp_path):
    inner = ["x"]
    for _ in range(60):
        inner = [inner, inner]
    torch.save({"state_dict": {"w": torch.ones(1)}, "card": {**PLAIN, "note": inner}}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="note"):
        read_weights(tmp_path / "c.pth")


def test_a_network_of_gigabytes_is_not_made(tmp_path):
    names = [str(number) for number in range(60_000)]
    values = {**PLAIN, "net": "deeplabv2_resnet101", "classes": {"name": "many", "names": names}}
    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors", {"crots": json.dumps(values)})
    with pytest.raises(InputError, match=r"its network deeplabv2_resnet101 of 60000 classes would take 1\d.\d GB"):
        load_model(tmp_path / "w.safetensors")


def test_the_weights_of_a_network_are_counted_without_making_them():
    net = create_model("compact", ABC, Size(32, 32)).net
    made = sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())
    assert net_bytes("compact", 3) == made


@pytest.mark.parametrize("name", ["x" * 5000, "a\x00b"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(InputError, match="found no file"):
        file_kind(Path(name))


def test_a_byte_array_of_any_length_is_not_allocated(tmp_path):
    path = tmp_path / "m.pth"
    # PROTO 5, BYTEARRAY8 of 2**45 bytes.
    path.write_bytes(b"\x80\x05\x96" + (2**45).to_bytes(8, "little") + b".")
    with pytest.raises(InputError, match=r"m\.pth"):
        read_weights(path)
