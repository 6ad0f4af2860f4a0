"""Sources of every kind answer the same question in the same way."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from crots.card import CAFFE, ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError
from crots.nets.heads import check_head
from crots.nets.model import create_model
from crots.nets.quiet import torch_jit
from crots.nets.source import NetworkSource, OnnxSource, ProgramSource, load_exported, open_source
from crots.nets.weights import save_pth, save_safetensors
from crots.options import SourceOptions
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
AB = ClassSet.from_dict({"name": "ab", "names": ["a", "b"]})
TOLD = SourceOptions(channels="rgb", mean="0", scale="1", output="logits")
WEIGHT = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype(np.float32)


def some_images(n=2, height=8, width=16):
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def expected_logits(images):
    return torch.nn.functional.conv2d(images.float(), torch.from_numpy(WEIGHT))


def write_onnx(path, *, shape=("n", 3, "h", "w"), output="logits", kind=TensorProto.FLOAT, metadata=None, twice=False):
    """A 1x1 convolution; with NHWC input, softmax or argmax around it as asked."""
    nodes, name = [], "image"
    if shape[3] == 3:
        nodes.append(helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2]))
        name = "nchw"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [name], ["cast"], to=TensorProto.FLOAT))
        name = "cast"
    nodes.append(helper.make_node("Conv", [name, "weight"], ["raw"]))
    out, out_kind = "raw", TensorProto.FLOAT
    if output == "probabilities":
        nodes.append(helper.make_node("Softmax", ["raw"], ["out"], axis=1))
        out = "out"
    elif output == "labels":
        nodes.append(helper.make_node("ArgMax", ["raw"], ["out"], axis=1, keepdims=0))
        out, out_kind = "out", TensorProto.INT64
    elif output == "last":
        nodes.append(helper.make_node("Transpose", ["raw"], ["out"], perm=[0, 2, 3, 1]))
        out = "out"
    inputs = [helper.make_tensor_value_info("image", kind, shape)]
    if twice:
        inputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info(out, out_kind, None)],
        [numpy_helper.from_array(WEIGHT, "weight")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.from_numpy(WEIGHT))

    def forward(self, x):
        return self.conv(x)


class ToyDict(Toy):
    def forward(self, x):
        return {"aux": x, "out": self.conv(x)}


def write_torchscript(path, module=None, extra=None):
    with torch_jit():
        traced = torch.jit.trace(module or Toy(), torch.zeros(2, 3, 8, 16), strict=False)
        torch.jit.save(traced, str(path), _extra_files=extra or {})
    return path


def write_exported(path, *, dynamic=False):
    n, h, w = (torch.export.Dim(name, min=1, max=4096) for name in "nhw")
    shapes = ({0: n, 2: h, 3: w},) if dynamic else None
    program = torch.export.export(Toy().eval(), (torch.zeros(2, 3, 8, 16),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


# Each way of writing the same model.
KINDS = {
    "onnx": lambda folder: write_onnx(folder / "m.onnx"),
    "onnx-nhwc": lambda folder: write_onnx(folder / "m.onnx", shape=("n", "h", "w", 3)),
    "onnx-fixed": lambda folder: write_onnx(folder / "m.onnx", shape=(1, 3, 8, 16)),
    "onnx-batch": lambda folder: write_onnx(folder / "m.onnx", shape=(4, 3, "h", "w")),
    "onnx-uint8": lambda folder: write_onnx(folder / "m.onnx", kind=TensorProto.UINT8),
    "onnx-channels-last-out": lambda folder: write_onnx(folder / "m.onnx", output="last"),
    "torchscript": lambda folder: write_torchscript(folder / "m.pt"),
    "torchscript-dict": lambda folder: write_torchscript(folder / "m.pt", ToyDict()),
    "exported": lambda folder: write_exported(folder / "m.pt2", dynamic=True),
    "exported-fixed": lambda folder: write_exported(folder / "m.pt2"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_programs_agree(tmp_path, kind):
    source = open_source(KINDS[kind](tmp_path), options=TOLD, classes=ABC, size=Size(16, 8), trust=True)
    assert isinstance(source, OnnxSource if kind.startswith("onnx") else ProgramSource)
    for n in (1, 2, 3):
        images = some_images(n)
        logits = source.logits(images)
        assert logits.dtype == torch.float32
        assert torch.allclose(logits, expected_logits(images), atol=1e-3)
        assert torch.equal(source.labels(images), logits.argmax(1))
    assert source.classes == ABC and source.output == "logits" and source.report is None


def test_flip_logits(tmp_path):
    source = open_source(write_onnx(tmp_path / "m.onnx"), options=TOLD, classes=ABC)
    images = some_images()
    # A 1x1 convolution sees no difference between an image and its mirror image.
    assert torch.allclose(source.flip_logits(images), expected_logits(images), atol=1e-3)
    assert torch.allclose(source.flip_logits(images, "sum"), 2 * expected_logits(images), atol=1e-3)


@pytest.mark.parametrize("writer", [write_onnx, write_torchscript])
def test_normalisation_as_told(tmp_path, writer):
    options = dataclasses.replace(TOLD, channels="bgr", mean="104,116,123", scale="57")
    source = open_source(writer(tmp_path / "m.onnx" if writer is write_onnx else tmp_path / "m.pt"), options=options,
                         classes=ABC, trust=True)  # fmt: skip
    images = some_images()
    seen = (images.float().flip(1) - torch.tensor([104.0, 116.0, 123.0]).view(1, 3, 1, 1)) / 57
    assert torch.allclose(source.logits(images), expected_logits(seen), atol=1e-3)


def test_probabilities_become_logits_with_the_same_softmax(tmp_path):
    options = dataclasses.replace(TOLD, output="probabilities", scale="255")
    source = open_source(write_onnx(tmp_path / "m.onnx", output="probabilities"), options=options, classes=ABC)
    images = some_images()
    expected = expected_logits(images.float() / 255).softmax(1)
    assert torch.allclose(source.logits(images).softmax(1), expected, atol=1e-4)
    assert torch.isfinite(source.logits(images)).all()


def test_labels_are_guessed_from_whole_numbers_and_give_no_logits(tmp_path):
    options = dataclasses.replace(TOLD, output="auto")
    source = open_source(write_onnx(tmp_path / "m.onnx", output="labels"), options=options, classes=ABC)
    images = some_images()
    assert source.output == "labels"
    assert torch.equal(source.labels(images), expected_logits(images).argmax(1))
    with pytest.raises(InputError, match="labels only"):
        source.logits(images)


def test_labels_outside_the_classes(tmp_path):
    options = dataclasses.replace(TOLD, output="labels")
    source = open_source(write_onnx(tmp_path / "m.onnx", output="labels"), options=options, classes=AB)
    with pytest.raises(InputError, match="gave the label 2, expected 0 to 1 or 255"):
        source.labels(some_images())


def test_input_size_of_the_file_and_of_the_options(tmp_path):
    fixed = write_onnx(tmp_path / "f.onnx", shape=("n", 3, 4, 8))
    for source in (
        open_source(fixed, options=TOLD, classes=ABC),
        open_source(write_onnx(tmp_path / "d.onnx"), options=dataclasses.replace(TOLD, size=Size(8, 4)), classes=ABC),
    ):
        images = some_images()
        assert source.logits(images).shape == (2, 3, 8, 16)
        assert source.labels(images).shape == (2, 8, 16)
        assert source.facts.fixed == Size(8, 4)
    with pytest.raises(InputError, match=r"only takes images of 8x4, but `source\.size` is 16x8"):
        open_source(fixed, options=dataclasses.replace(TOLD, size=Size(16, 8)), classes=ABC)


def test_an_input_with_one_fixed_side_needs_a_size_that_has_it(tmp_path):
    path = write_onnx(tmp_path / "f.onnx", shape=("n", 3, 4, "w"))
    for size in (None, Size(16, 8)):
        with pytest.raises(InputError, match=r"images 4 pixels high, but would get .*`source\.size`, as 8x4"):
            open_source(path, options=TOLD, classes=ABC, size=size)
    source = open_source(path, options=dataclasses.replace(TOLD, size=Size(8, 4)), classes=ABC, size=Size(16, 8))
    assert source.logits(some_images()).shape == (2, 3, 8, 16)
    with pytest.raises(InputError, match="4 pixels high, but would get 16x8"):
        open_source(path, options=dataclasses.replace(TOLD, size=Size(16, 8)), classes=ABC)


def test_labels_of_another_size_are_resized_without_mixing(tmp_path):
    options = dataclasses.replace(TOLD, output="labels")
    path = write_onnx(tmp_path / "f.onnx", shape=("n", 3, 4, 8), output="labels")
    labels = open_source(path, options=options, classes=ABC).labels(some_images())
    assert torch.equal(labels, labels[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2))


@pytest.mark.parametrize("writer", [write_onnx, write_torchscript, write_exported])
def test_what_is_not_told_is_listed(tmp_path, writer):
    path = writer(tmp_path / {"write_onnx": "m.onnx", "write_torchscript": "m.pt"}.get(writer.__name__, "m.pt2"))
    with pytest.raises(InputError) as caught:
        open_source(path, options=SourceOptions(mean="1,2,3"), trust=True)
    text = str(caught.value)
    assert all(word in text for word in ("source.channels", "source.scale", "source.output", "its classes"))
    assert "source.mean" not in text and "\n" not in text


@pytest.mark.parametrize("value", ["1,2", "a,b,c", "1,2,3,4"])
def test_malformed_numbers(tmp_path, value):
    with pytest.raises(InputError, match=r"source.mean: found '.*', expected one number or three"):
        open_source(write_onnx(tmp_path / "m.onnx"), options=dataclasses.replace(TOLD, mean=value), classes=ABC)
    with pytest.raises(InputError, match=r"source.scale: found '0'"):
        open_source(write_onnx(tmp_path / "m.onnx"), options=dataclasses.replace(TOLD, scale="0"), classes=ABC)


def test_other_number_of_classes(tmp_path):
    source = open_source(write_onnx(tmp_path / "m.onnx"), options=TOLD, classes=AB)
    with pytest.raises(InputError, match=r"gave \(2, 3, 8, 16\) for 2 images, expected \(N, 2, h, w\)"):
        source.logits(some_images())


def test_metadata_of_our_own_programs(tmp_path):
    plain = Normalisation("rgb", (0, 0, 0), (1, 1, 1))
    card = ModelCard("deeplabv2_resnet18", ABC.to_dict(), plain, Size(16, 8), note="n", oracle=True)
    metadata = {"crots": json.dumps(card.to_dict()), "crots_multiple": "4"}
    described = write_onnx(tmp_path / "m.onnx", metadata=metadata)
    extra = json.dumps({"crots": card.to_dict(), "crots_multiple": 4})
    for source in (
        load_exported(described),
        load_exported(write_torchscript(tmp_path / "m.pt", extra={"crots.json": extra}), trust=True),
    ):
        assert source.facts.card == card and source.facts.multiple == 4
        images = some_images(1, 9, 15)
        assert source.logits(images).shape == (1, 3, 9, 15)
    with pytest.raises(InputError, match="is for 3 classes"):
        open_source(described, classes=AB)
    found = open_source(described, options=SourceOptions(channels="bgr", mean="1,2,3"))
    assert found.facts.card.normalisation == Normalisation("bgr", (1, 2, 3), (1, 1, 1))


@pytest.mark.parametrize("writer", [write_torchscript, write_exported])
def test_programs_need_trust(tmp_path, writer):
    # The suffix does not matter: a program named like weights is still one.
    path = writer(tmp_path / ("m.pth" if writer is write_torchscript else "m.pt2"))
    with pytest.raises(InputError, match=r"can run code; if you trust it"):
        open_source(path, options=TOLD, classes=ABC)


def test_damaged_files(tmp_path):
    (tmp_path / "m.onnx").write_bytes(write_onnx(tmp_path / "m.onnx").read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read as an ONNX file"):
        open_source(tmp_path / "m.onnx", options=TOLD, classes=ABC)
    with pytest.raises(InputError, match="found no file"):
        open_source(tmp_path / "gone.onnx", options=TOLD, classes=ABC)
    with pytest.raises(InputError, match="expected one batch of images"):
        open_source(write_onnx(tmp_path / "two.onnx", twice=True), options=TOLD, classes=ABC)


def test_a_program_that_fails_is_named(tmp_path):
    class Picky(nn.Module):
        def forward(self, x):
            return x.view(-1, 3, 4, 4)

    path = write_torchscript(tmp_path / "m.pt", Picky())
    source = open_source(path, options=TOLD, classes=ABC, trust=True)
    with pytest.raises(InputError, match=r"m.pt failed on 1 images of 5x5") as caught:
        source.logits(some_images(1, 5, 5))
    assert "\n" not in str(caught.value)


def test_checkpoints(tmp_path):
    model = create_model("deeplabv2_resnet18", ABC, Size(64, 32)).eval()
    save_pth(tmp_path / "m.pth", model.net)
    save_safetensors(tmp_path / "m.safetensors", model.net, model.card)
    images = some_images(2, 32, 64)
    with torch.no_grad():
        expected, flipped = model.logits(images), model.flip_logits(images)
    plain = open_source(tmp_path / "m.pth", options=SourceOptions(net="deeplabv2_resnet18"), classes=ABC)
    described = open_source(tmp_path / "m.safetensors")
    for source in (plain, described):
        assert isinstance(source, NetworkSource) and source.report is not None and not source.report.missing
        assert torch.allclose(source.logits(images), expected, atol=1e-5)
        assert torch.allclose(source.flip_logits(images), flipped, atol=1e-4)
        assert not source.logits(images).requires_grad
    assert described.classes == ABC and plain.facts.card.normalisation == CAFFE
    other = open_source(tmp_path / "m.safetensors", options=SourceOptions(channels="rgb", mean="0", scale="255"))
    assert other.facts.card.normalisation == Normalisation("rgb", (0, 0, 0), (255, 255, 255))
    assert not torch.allclose(other.logits(images), expected, atol=1e-3)
    with pytest.raises(InputError, match="other"):
        open_source(tmp_path / "m.pth", options=SourceOptions(net="deeplabv2_resnet50"), classes=ABC)
    with pytest.raises(InputError, match="holds a deeplabv2_resnet18, but the option names deeplabv2_resnet50"):
        open_source(tmp_path / "m.safetensors", options=SourceOptions(net="deeplabv2_resnet50"))


def test_checkpoint_sizes_are_brought_to_what_the_net_takes(tmp_path):
    model = create_model("smp:unet/resnet18", ABC, Size(64, 32)).eval()
    save_safetensors(tmp_path / "m.safetensors", model.net, model.card)
    assert open_source(tmp_path / "m.safetensors").logits(some_images(1, 30, 70)).shape == (1, 3, 30, 70)
    with pytest.raises(InputError, match="multiples of 32"):
        open_source(tmp_path / "m.safetensors", options=SourceOptions(size=Size(30, 30)))


def test_the_runtime_of_onnx_reports_to_nobody(tmp_path, monkeypatch):
    received = []
    monkeypatch.setattr("onnxruntime.disable_telemetry_events", lambda: received.append("off"))
    open_source(write_onnx(tmp_path / "m.onnx"), options=TOLD, classes=ABC)
    assert received == ["off"]


def test_a_source_that_insists_on_a_huge_batch_is_refused(tmp_path):
    path = write_onnx(tmp_path / "m.onnx", shape=(5000, 3, "h", "w"))
    with pytest.raises(InputError, match="takes 5000 images at once, expected 64 at most"):
        open_source(path, options=TOLD, classes=ABC)


def write_graph(path, nodes, outputs, *, weight=WEIGHT, kind=TensorProto.FLOAT, extra=()):
    """A graph after a 1x1 convolution of the image to ``raw``; outputs by name."""
    nodes = [helper.make_node("Conv", ["image", "weight"], ["raw"]), *nodes]
    shape = ["n", 3, "h", "w"]
    described = [helper.make_tensor_value_info(name, kind, shape) for name in outputs]
    inits = [numpy_helper.from_array(weight, "weight"), *extra]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("image", kind, shape)], described, inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_logits_told_as_probabilities_and_probabilities_told_as_logits_are_refused(tmp_path):
    logits = open_source(
        write_onnx(tmp_path / "l.onnx"), options=dataclasses.replace(TOLD, output="probabilities"), classes=ABC
    )
    with pytest.raises(InputError, match="should output probabilities") as caught:
        logits.logits(some_images())
    assert caught.value.field == "source.output"
    softmax = write_onnx(tmp_path / "p.onnx", output="probabilities")
    with pytest.raises(InputError, match="should output logits, but gave values that sum to 1"):
        open_source(softmax, options=TOLD, classes=ABC).logits(some_images())


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_a_sigmoid_of_each_class_is_neither_logits_nor_probabilities(tmp_path, output):
    path = write_graph(tmp_path / "s.onnx", [helper.make_node("Sigmoid", ["raw"], ["out"])], ["out"])
    source = open_source(path, options=dataclasses.replace(TOLD, output=output), classes=ABC)
    with pytest.raises(InputError, match=f"should output {output}.* softmax") as caught:
        source.logits(some_images())
    assert caught.value.field == "source.output" and "to logits" not in str(caught.value)


def test_values_that_are_no_numbers_are_refused_and_half_precision_is_named(tmp_path):
    root = write_graph(tmp_path / "nan.onnx", [helper.make_node("Sqrt", ["raw"], ["out"])], ["out"])
    source = open_source(root, options=TOLD, classes=ABC)
    with pytest.raises(InputError, match="gave NaN or infinite values"):
        source.logits(some_images())
    half = write_graph(tmp_path / "half.onnx", [], ["raw"], weight=(WEIGHT * 2e4).astype(np.float16),
                       kind=TensorProto.FLOAT16)  # fmt: skip
    with pytest.raises(InputError, match="half precision"):
        open_source(half, options=TOLD, classes=ABC).logits(some_images())


def test_which_of_several_outputs_is_read(tmp_path):
    pooled = helper.make_node("Mul", ["raw", "raw"], ["aux"])
    main = helper.make_node("Identity", ["raw"], ["out"])
    path = write_graph(tmp_path / "two.onnx", [pooled, main], ["aux", "out"])
    images = some_images()
    assert torch.allclose(open_source(path, options=TOLD, classes=ABC).logits(images), expected_logits(images))
    chosen = open_source(path, options=dataclasses.replace(TOLD, output_name="aux"), classes=ABC)
    assert torch.allclose(chosen.logits(images), expected_logits(images) ** 2, rtol=1e-4)
    with pytest.raises(InputError, match=r"has no output 'none', found aux, out"):
        open_source(path, options=dataclasses.replace(TOLD, output_name="none"), classes=ABC)
    path = write_graph(
        tmp_path / "alike.onnx",
        [helper.make_node("Identity", ["raw"], ["one"]), helper.make_node("Neg", ["raw"], ["two"])],
        ["one", "two"],
    )
    with pytest.raises(InputError, match="has the outputs one, two; say which to read"):
        open_source(path, options=TOLD, classes=ABC)


@pytest.mark.parametrize(
    "given", [{"mean": "0.485,0.456,0.406"}, {"scale": "0.229,0.224,0.225"}, {"mean": "0.5"}, {"scale": "0.5"}]
)
def test_normalisation_in_units_of_0_to_1_is_refused_with_the_right_numbers(tmp_path, given):
    options = dataclasses.replace(TOLD, **{"mean": "124", "scale": "58", **given})
    with pytest.raises(InputError, match="multiply by 255"):
        open_source(write_onnx(tmp_path / "m.onnx"), options=options, classes=ABC)


def test_a_model_that_takes_bytes_normalises_them_itself(tmp_path):
    path = write_onnx(tmp_path / "m.onnx", kind=TensorProto.UINT8)
    images = some_images()
    untold = dataclasses.replace(TOLD, mean="", scale="")
    assert torch.allclose(open_source(path, options=untold, classes=ABC).logits(images), expected_logits(images))
    with pytest.raises(InputError, match="takes images of 8 bits and normalises them itself"):
        open_source(path, options=dataclasses.replace(TOLD, mean="124"), classes=ABC)


def test_missing_outside_data_are_named_with_their_folder(tmp_path):
    path = write_onnx(tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    (tmp_path / "m.data").unlink()
    with pytest.raises(InputError, match=r"another file, 'm\.data', which is missing; copy it to"):
        open_source(path, options=TOLD, classes=ABC)


class ToyTuple(Toy):
    """Gives an auxiliary output first, as networks with two heads do."""

    def __init__(self, *others):
        super().__init__()
        self.others = others

    def forward(self, x):
        answer = self.conv(x)
        made = {"aux": nn.functional.avg_pool2d(answer, 2), "features": torch.cat([x, x], 1)}
        return *(made[kind] for kind in self.others), answer


def test_which_of_the_nameless_outputs_of_a_program_is_read(tmp_path):
    path = write_torchscript(tmp_path / "features.pt", ToyTuple("features"))
    source = open_source(path, options=TOLD, classes=ABC, trust=True)
    assert torch.allclose(source.logits(some_images()), expected_logits(some_images()), atol=1e-3)
    path = write_torchscript(tmp_path / "aux.pt", ToyTuple("aux"))
    with pytest.raises(InputError, match=r"has the outputs 0 \(\d+x3x4x8\), 1 \(\d+x3x8x16\); say which .* number"):
        open_source(path, options=TOLD, classes=ABC, trust=True).logits(some_images())
    found = dataclasses.replace(TOLD, output_name="1")
    source = open_source(path, options=found, classes=ABC, trust=True)
    assert torch.allclose(source.logits(some_images()), expected_logits(some_images()), atol=1e-3)
    with pytest.raises(InputError, match="has no output '7', found 0, 1"):
        open_source(path, options=dataclasses.replace(TOLD, output_name="7"), classes=ABC, trust=True).logits(
            some_images()
        )


def softmax_times(path, number):
    nodes = [helper.make_node("Softmax", ["raw"], ["p"], axis=1), helper.make_node("Mul", ["p", "k"], ["out"])]
    return write_graph(path, nodes, ["out"], extra=[numpy_helper.from_array(np.float32(number), "k")])


def test_probabilities_in_other_units_are_no_logits(tmp_path):
    path = softmax_times(tmp_path / "percent.onnx", 100)
    for output in ("logits", "probabilities"):
        source = open_source(path, options=dataclasses.replace(TOLD, output=output), classes=ABC)
        with pytest.raises(InputError, match=r"divide .* by 100 in the file"):
            source.logits(some_images())


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Softmax", ["raw"], ["out"], axis=3)], "softmax over the wrong axis"),
        (
            [helper.make_node("LogSoftmax", ["raw"], ["l"], axis=1), helper.make_node("Neg", ["l"], ["out"])],
            "sign changed",
        ),
        (
            [helper.make_node("Transpose", ["raw"], ["out"], perm=[0, 1, 3, 2])],
            "gave 8x16 for images of 16x8: a turned",
        ),
        ([helper.make_node("GlobalAveragePool", ["raw"], ["out"])], "one value for the whole image"),
    ],
)
def test_outputs_that_are_no_logits_of_the_upright_image_are_refused(tmp_path, nodes, message):
    path = write_graph(tmp_path / "m.onnx", nodes, ["out"])
    images = some_images(height=40, width=80) if "whole" in message else some_images()
    with pytest.raises(InputError, match=message):
        open_source(path, options=TOLD, classes=ABC).logits(images)


def test_an_output_without_the_margins_of_the_image_is_refused(tmp_path):
    path = write_graph(tmp_path / "m.onnx", [helper.make_node("AveragePool", ["raw"], ["out"], kernel_shape=[13, 13])],
                       ["out"])  # fmt: skip
    with pytest.raises(InputError, match="gave 68x28 for images of 80x40: an image without its margins"):
        open_source(path, options=TOLD, classes=ABC).logits(some_images(height=40, width=80))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": "0.0171"}, "1 divided by each: 58.4795"),
        ({"scale": "0.0039216"}, "1 divided by each: 254.998"),
        ({"scale": "0.229"}, "multiply by 255: 58.395"),
        ({"mean": "31620"}, "expected numbers from 0 to 255"),
        ({"mean": "-124"}, "expected numbers from 0 to 255"),
        ({"scale": "-58"}, "expected numbers from 0 to 255"),
        ({"mean": "nan"}, "expected one number or three"),
    ],
)
def test_normalisation_in_other_units_is_refused(tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        open_source(write_onnx(tmp_path / "m.onnx"), options=dataclasses.replace(TOLD, **given), classes=ABC)


def test_images_of_other_channels_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="takes images of 1 channel"):
        open_source(write_onnx(tmp_path / "m.onnx", shape=("n", 1, "h", "w")), options=TOLD, classes=ABC)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_program_of_half_precision_gets_such_images(tmp_path, kind):
    with torch_jit():
        traced = torch.jit.trace(Toy().to(kind), torch.zeros(1, 3, 8, 16, dtype=kind))
        torch.jit.save(traced, str(tmp_path / "m.pt"))
    source = open_source(tmp_path / "m.pt", options=TOLD, classes=ABC, trust=True)
    found, wanted = source.logits(some_images()), expected_logits(some_images())
    assert found.dtype == torch.float32 and torch.allclose(found, wanted, rtol=0.02, atol=4)


@pytest.mark.parametrize("writer", [write_torchscript, write_exported, lambda path: torch.save(WEIGHT.shape, path)])
def test_a_file_of_torch_under_the_suffix_of_onnx_says_so(tmp_path, writer):
    writer(tmp_path / "m.pt2")
    (tmp_path / "m.pt2").rename(tmp_path / "m.onnx")
    for opened in (lambda path: open_source(path, options=TOLD, classes=ABC, trust=True), check_head):
        with pytest.raises(InputError, match=r"m.onnx is a file of PyTorch under the suffix .onnx; rename it to .pt"):
            opened(tmp_path / "m.onnx")
