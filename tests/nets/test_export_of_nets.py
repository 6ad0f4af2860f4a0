"""Networks that exporters find hard: each is written, loaded back and compared, which takes seconds."""

import numpy as np
import pytest
import torch

from crots.config import Size
from crots.nets.export import export_as
from crots.nets.model import create_model
from crots.nets.source import load_exported
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.slow

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
FORMATS = {"onnx": "m.onnx", "torchscript": "m.pt"}


def pictures(n, size):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8) for _ in range(n)]


def test_onnx_of_a_net_with_padding_by_size(tmp_path):
    model = create_model("smp:deeplabv3plus/tu-tf_mobilenetv3_small_minimal_100", ABC, Size(96, 64)).eval()
    report = export_as(model, tmp_path / "m.onnx", "onnx", sample_images=pictures(2, Size(112, 48)))
    assert report.agreement >= 0.99 and not report.notes
    source = load_exported(tmp_path / "m.onnx")
    assert source.facts.fixed is None and source.facts.multiple == 16


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("net", ["pspnet", "pan", "upernet"])
def test_nets_that_pool_to_a_grid_agree_at_the_size_of_their_project(tmp_path, net, name):
    pytest.importorskip("segmentation_models_pytorch")
    size = Size(160, 128) if net == "pan" else Size(64, 64)
    model = create_model(f"smp:{net}/resnet18", ABC, size)
    images = pictures(1, size)
    report = export_as(model, tmp_path / FORMATS[name], name, sample_images=images)
    assert report.agreement >= 0.99 and report.max_difference < 1e-2
    # A file that takes one size alone says so, and is given others at that size.
    source = load_exported(tmp_path / FORMATS[name], trust=True)
    # Images of 96x64 are too small for it, which does not keep it from taking others.
    assert net != "pan" or source.facts.fixed is None
    larger = torch.from_numpy(np.stack(pictures(1, Size(192, 160)))).permute(0, 3, 1, 2)
    assert source.logits(larger).shape == (1, 3, 160, 192)
    if source.facts.fixed:
        assert any(f"{size} only" in note for note in report.notes)
    else:
        wanted = model.eval().logits(larger)
        assert (source.logits(larger).argmax(1) == wanted.argmax(1)).float().mean() > 0.99
