"""Every format is written, loaded back and compared with the network."""

import dataclasses
import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from crots.card import CAFFE, ModelCard, Normalisation
from crots.config import Size
from crots.errors import InputError, StageError
from crots.nets import export as export_module
from crots.nets.deeplabv2 import VARIANTS
from crots.nets.export import FixedPadding, export_as, with_fixed_padding
from crots.nets.info import NetInfo
from crots.nets.model import Model, check_batch, create_model
from crots.nets.source import load_exported
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
FORMATS = {"pth": "m.pth", "safetensors": "m.safetensors", "onnx": "m.onnx", "torchscript": "m.pt"}


def pictures(n=2, size=Size(80, 48)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8) for _ in range(n)]


@pytest.fixture(scope="module")
def small():
    """A DeepLabV2 of four narrow blocks: exporters take seconds for more."""
    name = "deeplabv2_resnet18"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, name, dataclasses.replace(VARIANTS[name], layers=(1, 1, 1, 1), planes=16))
        yield create_model(name, ABC, Size(80, 48))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(tmp_path, small, name):
    small.train()
    before = {key: value.clone() for key, value in small.net.state_dict().items()}
    report = export_as(small, tmp_path / FORMATS[name], name, sample_images=pictures())
    assert report.images == 2 and report.agreement >= 0.99
    assert report.max_difference == 0 if name in ("pth", "safetensors") else report.max_difference < 1e-2
    assert small.training and all(torch.equal(before[key], value) for key, value in small.net.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == [FORMATS[name]]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory, small):
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    export_as(small, path, "onnx", sample_images=pictures(1))
    return path


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_programs_stand_alone_at_any_size(tmp_path, small, onnx_file, name):
    path = onnx_file
    if name == "torchscript":
        path = tmp_path / "m.pt"
        export_as(small, path, name, sample_images=pictures(1))
    source = load_exported(path, trust=True)
    small.eval()
    assert source.classes == ABC and source.facts.fixed is None and source.facts.card.size == Size(80, 48)
    for n, height, width in ((1, 33, 65), (3, 64, 40)):
        images = torch.randint(0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(n)).byte()
        with torch.no_grad():
            assert torch.allclose(source.logits(images), small.logits(images), atol=1e-2)


def test_onnx_says_what_it_takes(small, onnx_file):
    """Other programs need no more than the file: RGB in 0..255 goes in, logits of the same size come out."""
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, given.name) == ("image", "tensor(float)", "logits")
    assert taken.shape == ["batch", 3, "height", "width"]
    card = ModelCard.from_dict(json.loads(session.get_modelmeta().custom_metadata_map["crots"]))
    assert card.normalisation == Normalisation("rgb", (0, 0, 0), (1, 1, 1))
    assert small.card.normalisation == CAFFE
    image = pictures(1)[0]
    (logits,) = session.run(None, {"image": image.transpose(2, 0, 1)[None].astype(np.float32)})
    with torch.no_grad():
        expected = small.eval().logits(torch.from_numpy(image).permute(2, 0, 1)[None])
    assert np.allclose(logits, expected.numpy(), atol=1e-2)


def test_nets_with_padding_by_size(tmp_path):
    """timm's TensorFlow-style padding is made constant, which holds at every size the network takes."""
    model = create_model("smp:deeplabv3plus/tu-tf_efficientnet_lite0", ABC, Size(96, 64)).eval()
    fixed = with_fixed_padding(model)
    assert any(isinstance(module, FixedPadding) for module in fixed.modules())
    assert not any(isinstance(module, FixedPadding) for module in model.modules())
    for height, width in ((32, 48), (64, 96), (80, 16)):
        images = torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(1)).byte()
        with torch.no_grad():
            assert torch.equal(fixed.logits(images), model.logits(images))
    report = export_as(model, tmp_path / "m.pt", "torchscript", sample_images=pictures(1, Size(48, 32)))
    assert report.agreement == 1
    assert load_exported(tmp_path / "m.pt", trust=True).facts.multiple == 16


class Stubborn(nn.Module):
    """Takes one size and one image, as its weights depend on both."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.place = nn.Parameter(torch.arange(8.0 * 16).view(1, 1, 8, 16))

    def forward(self, x):
        return self.conv(x) + self.place


def stubborn():
    return Model(Stubborn(), ModelCard("toy", ABC.to_dict(), CAFFE, Size(16, 8)), NetInfo("toy", "user"))


def test_onnx_of_fixed_size_where_it_cannot_be_otherwise(tmp_path):
    report = export_as(stubborn(), tmp_path / "m.onnx", "onnx", sample_images=pictures(2, Size(16, 8)))
    assert any("16x8 only" in note for note in report.notes)
    source = load_exported(tmp_path / "m.onnx")
    assert source.facts.fixed == Size(16, 8) and source.facts.batch == 1
    assert source.logits(torch.zeros(3, 3, 16, 32, dtype=torch.uint8)).shape == (3, 3, 16, 32)


def test_a_file_that_takes_several_images_alone_is_written_for_one(tmp_path, small, monkeypatch):
    """The exporter took the two images of its example for a fixed number, without an error."""
    sides = export_module._dynamic_shape

    def fixed_batch(multiple):
        return {number: side for number, side in sides(multiple).items() if number}

    monkeypatch.setattr(export_module, "_dynamic_shape", fixed_batch)
    size = small.card.size
    report = export_as(small, tmp_path / "m.onnx", "onnx", sample_images=pictures(1, size))
    assert load_exported(tmp_path / "m.onnx").facts.batch == 1
    assert any(f"takes one image of {size} only" in note for note in report.notes)


class Pooling(nn.Module):
    """Adds means of four cells, which count little: the likeliest class tells nothing of them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 8, stride=8)

    def forward(self, x):
        x = 0.1 * self.conv(x)
        cells = nn.functional.adaptive_avg_pool2d(x, 2)
        shift = torch.tensor([9.0, 0, 0]).view(1, 3, 1, 1)
        return x + shift + nn.functional.interpolate(cells, x.shape[2:], mode="bilinear")


@pytest.mark.parametrize("side", [16, 13])
def test_a_program_of_any_size_is_right_where_a_pool_does_not_divide(tmp_path, side):
    size = Size(8 * side, 8 * side)
    model = Model(Pooling(), ModelCard("toy", ABC.to_dict(), CAFFE, size), NetInfo("toy", "user", multiple=8)).eval()
    export_as(model, tmp_path / "m.onnx", "onnx", sample_images=pictures(1, size))
    source = load_exported(tmp_path / "m.onnx")
    if source.facts.fixed:
        return
    for wide, high in ((15, 21), (16, 16), (22, 13)):
        images = torch.from_numpy(np.stack(pictures(1, Size(8 * wide, 8 * high)))).permute(0, 3, 1, 2)
        wanted = model.logits(images)
        assert (source.logits(images) - wanted).abs().max() < 0.01 * (wanted.max() - wanted.min())


@pytest.mark.parametrize(
    ("cells", "tried"), [(1, [True, False]), (2, [True, False]), (3, [False]), ((None, 6), [False])]
)
def test_any_size_is_not_tried_where_pools_never_divide(tmp_path, monkeypatch, cells, tried):
    dynamic = []

    def exporter(program, example, shapes):
        dynamic.append(shapes is not None)
        raise RuntimeError("not here")

    monkeypatch.setattr(export_module, "_to_onnx", exporter)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(cells), nn.Conv2d(3, 3, 1))
    model = Model(net, ModelCard("toy", ABC.to_dict(), CAFFE, Size(16, 16)), NetInfo("toy", "user"))
    with pytest.raises(StageError, match="not here"):
        export_as(model, tmp_path / "m.onnx", "onnx", sample_images=pictures(1, Size(16, 16)))
    assert dynamic == tried


@pytest.mark.parametrize("fault", ["wrong", "nan"])
def test_a_file_that_differs_is_reported(tmp_path, small, monkeypatch, fault):
    def broken(model, path, device, trust):
        small.eval()
        return lambda images: small.logits(images) * (float("nan") if fault == "nan" else -1), False

    monkeypatch.setattr(export_module, "_as_model", broken)
    (tmp_path / "m.pth").write_bytes(b"earlier")
    with pytest.raises(StageError, match="differs from the network"):
        export_as(small, tmp_path / "m.pth", "pth", sample_images=pictures(1))
    # Neither a wrong file nor a part of one, and the earlier one is as it was.
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("m.pth", b"earlier")]


def test_what_an_exporter_lacks_is_named_not_its_step(tmp_path, small, monkeypatch):
    def exporter(*args):
        try:
            raise ValueError("No ONNX function found for sort\nSee the stack trace")
        except ValueError as error:
            raise RuntimeError("Failed to convert. \x1b[96mThis is step 3/3\x1b[0m") from error

    monkeypatch.setattr(export_module, "_to_onnx", exporter)
    with pytest.raises(StageError, match=r"written as onnx \(No ONNX function found for sort\); no file was kept"):
        export_as(small, tmp_path / "m.onnx", "onnx", sample_images=pictures(1))
    assert not list(tmp_path.iterdir())


def test_tensor_images_and_unknown_format(tmp_path, small):
    images = torch.from_numpy(np.stack(pictures(3))).permute(0, 3, 1, 2)
    assert export_as(small, tmp_path / "m.pth", "pth", sample_images=images).images == 3
    with pytest.raises(InputError, match="found the format 'tflite', expected one of pth, safetensors, onnx"):
        export_as(small, tmp_path / "m.tflite", "tflite", sample_images=images)
    assert not (tmp_path / "m.tflite").exists()


def test_a_size_that_a_net_cannot_take_is_refused_before_anything_is_written_or_trained(tmp_path):
    pytest.importorskip("segmentation_models_pytorch")
    small = create_model("smp:pan/resnet18", ABC, Size(64, 64))
    for refused in (
        lambda: export_as(small, tmp_path / "m.pt", "torchscript", sample_images=pictures(1, Size(64, 64))),
        lambda: check_batch(small, 2, Size(64, 64)),
    ):
        with pytest.raises(InputError, match=r"cannot take images of 64x64 .*choose a larger working size"):
            refused()
    assert not list(tmp_path.iterdir())
    check_batch(small, 2, Size(160, 128))


@pytest.mark.parametrize("name", ["pth", "safetensors", "torchscript"])
def test_a_full_disk_names_the_file_that_was_asked_for(tmp_path, small, monkeypatch, name):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("crots.files.shutil.disk_usage", lambda path: usage._replace(free=0))
    monkeypatch.setattr("crots.files.move_file", lambda *_: (_ for _ in ()).throw(RuntimeError("short write")))
    with pytest.raises(StageError, match="the disk is full") as caught:
        export_as(small, tmp_path / FORMATS[name], name, sample_images=pictures(1))
    assert str(tmp_path / FORMATS[name]) in str(caught.value) and "partial" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most", [3_000, 30_000])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_too_large_for_its_disk_is_no_fault_of_the_network(tmp_path, small, name, most):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before, kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, kept[1]))
        with pytest.raises(StageError, match=r"cannot write .*the file is too large") as caught:
            export_as(small, tmp_path / FORMATS[name], name, sample_images=pictures(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, before)
    assert f"cannot write {tmp_path / FORMATS[name]}:" in str(caught.value)
    assert not list(tmp_path.iterdir())
