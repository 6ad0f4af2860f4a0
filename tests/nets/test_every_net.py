"""What every kind of network must do, with batch norm and without, and back from a file."""

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
from tests.every_net import NETS, net_named

torch.set_num_threads(1)

ABC = ClassSet.from_dict({"name": "abc", "names": ["a", "b", "c"]})


@pytest.fixture(params=NETS)
def net(request, tmp_path):
    return net_named(request.param, tmp_path / "m")


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
