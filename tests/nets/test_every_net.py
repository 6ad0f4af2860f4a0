"""What every kind of network must do, with batch norm and without, and back from a file."""

import json

import pytest
import torch

from crots.config import Size
from crots.errors import InputError
from crots.methods.batch_norm import (
    batch_norms,
    forget_statistics,
    read_statistics,
    set_statistics,
    take_statistics,
    train_affine_only,
)
from crots.nets.model import create_model
from crots.nets.weights import load_model, load_weights, save_safetensors
from crots.taxonomy import ClassSet

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})
SEGFORMER = {
    "model_type": "segformer", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16,
    "num_attention_heads": [1, 1, 1, 1], "id2label": {"0": "a", "1": "b", "2": "c"},
}  # fmt: skip
DPT = {
    "model_type": "dpt", "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 32,
    "image_size": 64, "patch_size": 16, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 8, 8],
    "fusion_hidden_size": 8, "is_hybrid": False, "use_auxiliary_head": False,
    "use_batch_norm_in_fusion_residual": False,
    "id2label": SEGFORMER["id2label"],
}  # fmt: skip
NETS = {
    "compact": "compact",
    "deeplabv2": "deeplabv2_resnet18",
    "torchvision": "torchvision:lraspp_mobilenet_v3_large",
    "smp-cnn": "smp:fpn/tu-mobilenetv3_small_050",
    "smp-transformer": "smp:segformer/mit_b0",
    "hf-segformer": SEGFORMER,
    "hf-without-batch-norm": DPT,
}


@pytest.fixture(params=NETS)
def net(request, tmp_path):
    found = NETS[request.param]
    if isinstance(found, str):
        return found
    pytest.importorskip("transformers")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps(found))
    (tmp_path / "m" / "preprocessor_config.json").write_text(json.dumps({"image_mean": 0.5, "image_std": 0.5}))
    return f"hf:{tmp_path / 'm'}"


def test_every_net_gives_logits_and_goes_through_a_file(net, tmp_path):
    model = create_model(net, ABC, Size(64, 64), seed=1)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    logits = model.train()(images)
    assert logits.shape[:2] == (2, 3) and logits.requires_grad and torch.isfinite(logits).all()
    model.eval()
    with torch.no_grad():
        assert model.logits(images).shape == (2, 3, 64, 64)
        other = create_model(net, ABC, Size(64, 64), seed=2).eval()
        assert not torch.equal(other(images), model(images))
        assert not load_weights(other.net, model.net.state_dict()).missing
        assert torch.equal(other(images), model(images))
        save_safetensors(tmp_path / "n.safetensors", model.net, model.card)
        assert torch.equal(load_model(tmp_path / "n.safetensors")[0](images), model(images))


def test_the_functions_of_batch_norm_take_every_net(net):
    model = create_model(net, ABC, Size(64, 64), seed=1).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    own = read_statistics(model.net)
    if not batch_norms(model.net):
        # The stages go without; a method that is nothing but batch norm says so.
        assert own == read_statistics(model.net) == ((), ())
        set_statistics(model.net, own, own, 0.5)
        with pytest.raises(InputError, match="batch norm"):
            train_affine_only(model.net)
        return
    with torch.no_grad():
        before = model(images)
        forget_statistics(model.net)
        take_statistics(model.net, [images, images], model)
        target = read_statistics(model.net)
        assert len(own.means) == len(target.means) == len(batch_norms(model.net))
        set_statistics(model.net, own, target, 0.0)
        assert torch.allclose(model.eval()(images), before, atol=1e-5), "its own statistics again"
    train_affine_only(model.net)
    assert any(parameter.requires_grad for parameter in model.net.parameters())
