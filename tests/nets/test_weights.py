"""Every form checkpoints come in, on small networks."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from crots.card import CAFFE, IMAGENET, Normalisation
from crots.class_maps import ClassMap
from crots.config import Size
from crots.errors import InputError
from crots.nets.model import create_model
from crots.nets.names import sums_last_layers
from crots.nets.registry import build_net
from crots.nets.weights import joined_rows, load_into, load_model, load_weights, save_pth, save_safetensors
from crots.taxonomy import ClassSet

pytestmark = pytest.mark.safety

torch.set_num_threads(1)

NET = "deeplabv2_resnet18"
LITE0 = "smp:deeplabv3plus/tu-tf_efficientnet_lite0"
LITE0_WEIGHTS = Path(__file__).parents[2] / ".." / "shared" / "data" / "weights" / "tf_efficientnet_lite0_imagenet.pth"


def classes(*names):
    return ClassSet.from_dict({"name": "-".join(names), "names": list(names)})


ABC = classes("a", "b", "c")


def test_tensors_of_an_encoder_are_not_taken_for_classes():
    state = filled()
    state["bn1.weight"] = torch.ones(32)
    with pytest.raises(InputError, match=r"for another network: bn1.weight is 32 in the file and 64 in the network"):
        load_weights(build_net(NET, 3), state)


def filled(name=NET, count=3, seed=1):
    """A state dict in which every tensor differs from that of a net of another seed."""
    state = build_net(name, count, seed=seed).state_dict()
    rng = torch.Generator().manual_seed(seed)
    return {
        key: torch.rand(value.shape, generator=rng) + 0.5 if value.is_floating_point() else value + seed
        for key, value in state.items()
    }


def holds(net, state):
    now = net.state_dict()
    return all(torch.equal(now[key], state[key]) for key in state)


def with_prefix(state, prefix):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "net.", "model.", "state_dict.", "model.module.", "student.net.", "Scale.", "a.b.c.d."]
)
@pytest.mark.parametrize("given", [False, True])
def test_prefixes(prefix, given):
    net, state = build_net(NET, 3), filled()
    if prefix == "Scale.":
        with pytest.raises(InputError, match="cannot be a source"):
            load_weights(net, with_prefix(state, prefix))
        return
    report = load_weights(net, with_prefix(state, prefix), prefix=prefix.rstrip(".") if given else "")
    assert holds(net, state)
    assert len(report.matched) == len(state) and not report.missing and not report.unexpected


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod.", "_orig_mod."])
@pytest.mark.parametrize("given", [False, True])
def test_parts_that_were_compiled_or_sharded_by_themselves(wrapper, prefix, given):
    net, state = build_net(NET, 3), filled()
    parts = {key.split(".", 1)[0] for key in state}
    wrapped = {key.replace(".", f".{wrapper}.", 1): tensor for key, tensor in state.items()}
    report = load_weights(net, with_prefix(wrapped, prefix), prefix=prefix if given else "")
    assert holds(net, state) and len(report.matched) == len(state) and len(parts) > 1
    with pytest.raises(InputError, match="sharded part twice"):
        load_weights(net, {**wrapped, **state})


def test_prefix_is_found_for_every_family():
    for name in ("torchvision:lraspp_mobilenet_v3_large", "smp:unet/resnet18"):
        net, state = build_net(name, 3), filled(name)
        load_weights(net, with_prefix(state, "model.net."))
        assert holds(net, state)


def test_two_networks_in_one_file_need_a_prefix():
    net, student, teacher = build_net(NET, 3), filled(seed=1), filled(seed=2)
    both = {**with_prefix(student, "student."), **with_prefix(teacher, "teacher.")}
    with pytest.raises(InputError, match=r"2 times, under student., teacher.; give the prefix"):
        load_weights(net, both)
    report = load_weights(net, both, prefix="teacher")
    assert holds(net, teacher) and len(report.dropped) == len(student)
    with pytest.raises(InputError, match=r"no key starts with the prefix 'tutor.'; found keys under student, teacher"):
        load_weights(net, both, prefix="tutor")


def test_a_plain_network_beside_another_wins():
    net, state, other = build_net(NET, 3), filled(seed=1), filled(seed=2)
    report = load_weights(net, {**with_prefix(other, "ema."), **state})
    assert holds(net, state) and len(report.unexpected) == len(other)
    assert any("average of the weights lies under ema.; that prefix selects it" in note for note in report.notes)


@pytest.mark.parametrize("prefix", ["model_ema.", "ema_model.", "averaged."])
def test_of_a_network_and_its_average_the_average_is_taken_and_reported(prefix):
    net, state, last = build_net(NET, 3), filled(seed=1), filled(seed=2)
    both = {**with_prefix(last, "model."), **with_prefix(state, prefix)}
    report = load_weights(net, both)
    assert holds(net, state) and any("the prefix model. selects that" in note for note in report.notes)
    load_weights(net, both, prefix="model")
    assert holds(net, last)


def test_rounded_weights_are_refused():
    net = build_net(NET, 3)
    whole = {key: (tensor * 50).to(torch.int8) for key, tensor in filled().items()}
    with pytest.raises(InputError, match=r"whole numbers \(int8\) in .*, as a quantised model does"):
        load_weights(net, whole)


def test_mscoco_start_loses_layer5_even_where_it_would_fit():
    net = build_net(NET, 3)
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, filled()
    report = load_weights(net, with_prefix(state, "Scale."), purpose="start")
    head = [key for key in state if key.startswith("layer5.")]
    assert holds(net, {key: value for key, value in state.items() if key not in head})
    assert holds(net, {key: before[key] for key in head})
    assert set(report.missing) == set(head) == set(report.dropped)
    assert any("starting from random values: layer5 (8)" in line for line in report.lines())


def torchvision_resnet18():
    from torchvision.models import resnet18

    return resnet18(weights=None).state_dict()


def test_torchvision_resnet_is_a_start_and_no_source():
    state = torchvision_resnet18()
    net = build_net(NET, 3)
    report = load_weights(net, state, purpose="start")
    assert set(report.dropped) == {"fc.weight", "fc.bias"}
    assert {key.split(".")[0] for key in report.missing} == {"layer5"}
    assert holds(net, {key: value for key, value in state.items() if not key.startswith("fc.")})
    assert report.normalisation == IMAGENET
    with pytest.raises(InputError, match=r"image classifier.*cannot be a source"):
        load_weights(build_net(NET, 3), state)


def test_torchvision_resnet_brings_its_normalisation(tmp_path):
    torch.save(torchvision_resnet18(), tmp_path / "r.pth")
    model = create_model(NET, ABC, Size(64, 32))
    assert model.card.normalisation == CAFFE
    report = load_into(model, tmp_path / "r.pth")
    assert model.card.normalisation == IMAGENET
    assert any("normalised as these weights expect" in note for note in report.notes)


@pytest.mark.parametrize("name", ["smp:unet/resnet18", "torchvision:fcn_resnet50"])
def test_encoder_files(name):
    from torchvision.models import get_model

    state = get_model("resnet18" if "18" in name else "resnet50", weights=None).state_dict()
    net = build_net(name, 3)
    report = load_weights(net, state, purpose="start")
    encoder = "encoder." if name.startswith("smp") else "backbone."
    assert holds(net, {encoder + key: value for key, value in state.items() if not key.startswith("fc.")})
    assert report.missing and not any(key.startswith(encoder) for key in report.missing)
    assert set(report.dropped) == {"fc.weight", "fc.bias"}
    with pytest.raises(InputError, match="cannot be a source"):
        load_weights(build_net(name, 3), state)


def test_flattened_timm_encoder():
    """timm gives stages.0 for a classifier and stages_0 where it gives features."""
    timm = pytest.importorskip("timm")
    state = timm.create_model("convnext_atto", pretrained=False).state_dict()
    net = build_net("smp:unet/tu-convnext_atto", 3)
    report = load_weights(net, state, purpose="start")
    assert not any(key.startswith("encoder.") for key in report.missing)
    assert torch.equal(net.state_dict()["encoder.model.stages_0.blocks.0.conv_dw.weight"],
                       state["stages.0.blocks.0.conv_dw.weight"])  # fmt: skip


@pytest.mark.skipif(not LITE0_WEIGHTS.exists(), reason="the shared weights are absent")
def test_real_encoder_weights():
    model = create_model(LITE0, ABC, Size(64, 32))
    report = load_into(model, LITE0_WEIGHTS)
    assert not any(key.startswith("encoder.") for key in report.missing)
    assert {key.split(".")[0] for key in report.missing} == {"decoder", "segmentation_head"}
    assert {key.split(".")[0] for key in report.dropped} == {"conv_head", "bn2", "classifier"}
    assert not report.unexpected
    real = torch.load(LITE0_WEIGHTS, weights_only=True)
    assert torch.equal(model.net.state_dict()["encoder.model.conv_stem.weight"], real["conv_stem.weight"])


def multi_level(state):
    """AdaptSegNet's two-head release: layer5 sits on layer3 (1024 channels there), layer6 is the head."""
    plain = {key: value for key, value in state.items() if not key.startswith("layer5.")}
    heads = {key: value for key, value in state.items() if key.startswith("layer5.")}
    aux = {key: torch.zeros(3, 256, 3, 3) if value.ndim == 4 else value * 0 for key, value in heads.items()}
    return {**plain, **aux, **{key.replace("layer5.", "layer6."): value for key, value in heads.items()}}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_multi_level(prefix):
    net, state = build_net(NET, 3), filled()
    report = load_weights(net, with_prefix(multi_level(state), prefix))
    assert holds(net, state) and not report.missing
    assert len(report.dropped) == 8 and any("layer6" in note for note in report.notes)


def test_old_file_without_counters():
    net, state = build_net(NET, 3), filled()
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    report = load_weights(net, old)
    assert holds(net, old) and not report.missing
    assert any("old file" in note for note in report.notes)


def test_old_adaptsegnet_file_has_528_entries():
    with torch.device("meta"):
        net = build_net("deeplabv2_resnet101", 19)
        state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
        assert len(state) == 528
        report = load_weights(build_net("deeplabv2_resnet101", 19), with_prefix(state, "module."))
    assert len(report.matched) == 528 and not report.missing


def test_torchvision_auxiliary_head_is_left_out():
    from torchvision.models.segmentation import fcn_resnet50

    state = fcn_resnet50(weights=None, weights_backbone=None, num_classes=3, aux_loss=True).state_dict()
    report = load_weights(build_net("torchvision:fcn_resnet50", 3), state)
    assert not report.missing and {key.split(".")[0] for key in report.dropped} == {"aux_classifier"}


def test_other_number_of_classes():
    net, state = build_net(NET, 3), filled(count=5)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(InputError, match=r"gives 5 classes .* the class set has 3"):
        load_weights(net, state)
    assert holds(net, before), "a refused load changed the network"
    report = load_weights(net, state, purpose="start")
    assert {key.split(".")[0] for key in report.missing} == {"layer5"}
    assert any("5 classes, not 3" in note for note in report.notes)


@pytest.mark.parametrize("purpose", ["source", "start"])
@pytest.mark.parametrize("other", ["deeplabv2_resnet50", "torchvision:lraspp_mobilenet_v3_large", "smp:unet/resnet34"])
def test_other_network(other, purpose):
    net = build_net(NET, 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(net, filled(other), name="w.pth", purpose=purpose)
    assert "w.pth" in str(caught.value) and "network it was trained with" in str(caught.value)
    assert holds(net, before)


@pytest.mark.parametrize("purpose", ["source", "start"])
def test_a_deeper_network_of_the_same_shapes_is_refused(purpose):
    """Every tensor of a ResNet-50 has its like in a ResNet-101, and loading one as the other would give nonsense."""
    with torch.device("meta"):
        state = build_net("deeplabv2_resnet101", 3).state_dict()
        net = build_net("deeplabv2_resnet50", 3)
    with pytest.raises(InputError, match=r"larger network: it has 102 weights that this one does not have \(layer3"):
        load_weights(net, with_prefix(state, "module."), purpose=purpose)


def test_leftovers_of_a_profiler_do_no_harm():
    net, state = build_net(NET, 3), filled()
    report = load_weights(net, {**state, "layer1.0.total_ops": torch.tensor([1.0]), "total_params": torch.ones(1)})
    assert holds(net, state) and len(report.unexpected) == 2


def test_a_hole_in_a_source_is_named():
    state = filled()
    del state["layer3.0.conv1.weight"]
    with pytest.raises(InputError, match=r"first layer3.0.conv1.weight"):
        load_weights(build_net(NET, 3), state)
    report = load_weights(build_net(NET, 3), state, purpose="start")
    assert report.missing == ("layer3.0.conv1.weight",)


def test_users_own_net_with_underscored_numbers():
    net = nn.Sequential()
    net.add_module("block_1", nn.Conv2d(3, 3, 1))
    net.add_module("block", nn.Sequential(nn.Identity(), nn.Conv2d(3, 3, 1)))
    state = {key: torch.rand_like(value) for key, value in net.state_dict().items()}
    load_weights(net, with_prefix(state, "module."))
    assert holds(net, state)


def test_half_precision_files_fill_float_nets():
    net, state = build_net(NET, 3), filled()
    load_weights(net, {key: value.half() if value.is_floating_point() else value for key, value in state.items()})
    assert net.conv1.weight.dtype == torch.float32
    assert torch.allclose(net.conv1.weight, state["conv1.weight"], atol=1e-3)


@pytest.mark.usefixtures("narrow_deeplab")
def test_safetensors_describe_themselves(tmp_path):
    own = Normalisation("bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    model = create_model(NET, ABC, Size(64, 32), normalisation=own).eval()
    card = dataclasses.replace(model.card, note="from a test", oracle=True)
    save_safetensors(tmp_path / "m.safetensors", model.net, card)
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "m.safetensors").stat().st_mode == usual, "others may read it where they may read other files"
    again, report = load_model(tmp_path / "m.safetensors")
    assert again.card == card and again.normalise.reverse and not again.training
    assert holds(again.net, model.net.state_dict()) and not report.missing
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["classes"]) == ["a", "b", "c"] and metadata["size"] == "64x32"
    assert json.loads(metadata["normalisation"])["channels"] == "bgr" and len(json.loads(metadata["palette"])) == 3


@pytest.mark.usefixtures("narrow_deeplab")
def test_what_grows_from_weights_that_labels_chose_is_marked(tmp_path):
    """Fault F13."""
    model = create_model(NET, ABC, Size(64, 32))
    for oracle in (False, True):
        save_safetensors(tmp_path / "m.safetensors", model.net, dataclasses.replace(model.card, oracle=oracle))
        grown = create_model(NET, ABC, Size(64, 32))
        load_into(grown, tmp_path / "m.safetensors")
        assert grown.card.oracle is oracle


@pytest.mark.usefixtures("narrow_deeplab")
def test_arguments_that_contradict_a_self_describing_file(tmp_path):
    model = create_model(NET, ABC, Size(64, 32))
    path = tmp_path / "m.safetensors"
    save_safetensors(path, model.net, model.card)
    load_model(path, net=NET, classes=ABC)
    with pytest.raises(InputError, match="holds a deeplabv2_resnet18, but the option names deeplabv2_resnet50"):
        load_model(path, net="deeplabv2_resnet50")
    with pytest.raises(InputError, match="is for 3 classes"):
        load_model(path, classes=classes("a", "b"))
    with pytest.raises(InputError, match="is for 3 classes"):
        load_model(path, classes=classes("c", "b", "a"))
    with pytest.raises(InputError, match="is for 3 classes"):
        load_into(create_model(NET, classes("c", "b", "a"), Size(64, 32)), path, purpose="source")


@pytest.mark.usefixtures("narrow_deeplab")
def test_a_start_of_the_same_classes_in_another_order_is_refused_and_other_names_are_said(tmp_path):
    path = tmp_path / "m.safetensors"
    model = create_model(NET, classes("a", "b", "c"), Size(64, 32))
    save_safetensors(path, model.net, model.card)
    with pytest.raises(InputError, match=r"same classes in another order \(a, b, c .*has c, b, a .*order of the file"):
        load_into(create_model(NET, classes("c", "b", "a"), Size(64, 32)), path)
    said = load_into(create_model(NET, classes("x", "b", "c"), Size(64, 32)), path).lines()
    assert "its classes a, b, c ... are taken for x, b, c ..., one after the other" in said
    assert load_into(create_model(NET, classes("a", "b", "c"), Size(64, 32)), path).notes == ()


@pytest.mark.usefixtures("narrow_deeplab")
def test_pth_has_adaptsegnets_keys_and_equal_bytes(tmp_path):
    model = create_model(NET, ABC, Size(64, 32))
    save_pth(tmp_path / "a.pth", model.net)
    save_pth(tmp_path / "b.pth", model.net)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()
    assert list(torch.load(tmp_path / "a.pth", weights_only=True)) == list(model.net.state_dict())
    again, _ = load_model(tmp_path / "a.pth", net=NET, classes=ABC)
    assert holds(again.net, model.net.state_dict()) and again.card.size == Size(1024, 512)


@pytest.mark.parametrize(("given", "says"), [({}, "its network and its classes"), ({"net": NET}, "say its classes")])
@pytest.mark.usefixtures("narrow_deeplab")
def test_plain_files_need_net_and_classes(tmp_path, given, says):
    save_pth(tmp_path / "a.pth", build_net(NET, 3))
    with pytest.raises(InputError, match=says):
        load_model(tmp_path / "a.pth", **given)


@pytest.mark.usefixtures("narrow_deeplab")
def test_checkpoint_with_a_card_describes_itself(tmp_path):
    model = create_model(NET, ABC, Size(64, 32))
    teacher = filled()
    content = {"card": model.card.to_dict(), "student": model.net.state_dict(), "teacher": teacher, "step": 7}
    torch.save(content, tmp_path / "c.pt")
    assert holds(load_model(tmp_path / "c.pt")[0].net, model.net.state_dict())
    assert holds(load_model(tmp_path / "c.pt", part="teacher")[0].net, teacher)


@pytest.mark.parametrize("purpose", ["source", "start"])
@pytest.mark.parametrize("name", [NET, "torchvision:lraspp_mobilenet_v3_large"])
def test_one_score_per_pixel_is_that_of_the_second_class(name, purpose):
    one, two = build_net(name, 1, seed=1).eval(), build_net(name, 2, seed=2).eval()
    report = load_weights(two, one.state_dict(), purpose=purpose)
    assert report.start == "trained" and any("one score per pixel" in note for note in report.notes)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(two(images).softmax(1)[:, 1:], one(images).sigmoid(), atol=1e-5)
    with pytest.raises(InputError, match="gives 1 classes"):
        load_weights(build_net(name, 3), one.state_dict())


FOUR, TWO = classes("a", "b", "c", "d"), classes("x", "y")
JOINS = ClassMap(FOUR, TWO, np.array([0, 0, 1, 255]))


@pytest.mark.parametrize("name", ["compact", "torchvision:fcn_resnet50"])
def test_the_classes_of_a_start_are_joined_by_a_class_map(name):
    source, student = build_net(name, 4, seed=1).eval(), build_net(name, 2, seed=2).eval()
    report = load_weights(student, source.state_dict(), purpose="start", class_map=JOINS)
    assert report.start == "trained" and any("4 classes joined to 2" in note for note in report.notes)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, scores = student(images), source(images)
    assert torch.allclose(found[:, 0], scores[:, :2].mean(dim=1) + torch.tensor(2.0).log(), atol=1e-4)
    assert torch.allclose(found[:, 1], scores[:, 2], atol=1e-4)


@pytest.mark.parametrize("name", [NET, "torchvision:lraspp_mobilenet_v3_large"])
def test_last_layers_whose_scores_are_summed_are_not_joined(name):
    assert sums_last_layers(name) and not sums_last_layers("compact")
    source, student = build_net(name, 4, seed=1), build_net(name, 2, seed=2)
    before = {key: tensor.clone() for key, tensor in student.state_dict().items()}
    with pytest.raises(InputError, match="cannot be joined to 2, since its scores come from several layers"):
        load_weights(student, source.state_dict(), purpose="start", class_map=JOINS)
    assert all(torch.equal(before[key], tensor) for key, tensor in student.state_dict().items())


def test_a_last_layer_without_a_bias_is_not_joined():
    source, student = (torch.nn.Conv2d(8, count, 1, bias=False) for count in (4, 2))
    before = student.weight.detach().clone()
    with pytest.raises(InputError, match="cannot be joined to 2, since its last layer has no bias"):
        load_weights(student, source.state_dict(), purpose="start", class_map=JOINS)
    assert torch.equal(before, student.weight)


def test_one_layer_of_joined_classes_bounds_the_sum_of_their_probabilities():
    joins = ClassMap(classes("a", "b", "c"), classes("x", "y"), np.array([0, 0, 1]))
    rows, bias = torch.randn(3, 5), torch.randn(3)
    seen = torch.randn(100, 5)
    exact = (seen @ rows[:2].T + bias[:2]).logsumexp(dim=1)
    joined = seen @ joined_rows(rows, joins)[0] + joined_rows(bias, joins)[0]
    assert (joined <= exact + 1e-5).all() and torch.equal(joined_rows(rows, joins)[1], rows[2])
    # Equal rows lose nothing.
    same = joined_rows(torch.stack([rows[0], rows[0], rows[2]]), joins)[0]
    assert torch.allclose(same, rows[0])


@pytest.mark.parametrize(
    ("source", "target", "table", "joins"),
    [
        ("abc", "xy", [0, 0, 1], True),
        ("abc", "xy", [0, 1, 255], True),
        ("abc", "xy", [0, 0, 0], False),  # nothing says y
        ("ab", "xy", [1, 0], False),
        ("ab", "xyz", [0, 1], False),
    ],
)
def test_which_class_maps_join(source, target, table, joins):
    assert ClassMap(classes(*source), classes(*target), np.array(table)).joins == joins


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("backbone.conv1.weight", "decode_head.conv_seg.weight"), "checkpoint of mmsegmentation, .*ONNX export"),
        (("segformer.encoder.a.weight", "decode_head.linear_c.0.weight"), "from transformers: give the whole folder"),
    ],
)
def test_weights_of_networks_unknown_here_say_what_to_give(tmp_path, keys, message):
    torch.save({"state_dict": {key: torch.randn(2, 3) for key in keys}}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        load_weights(build_net(NET, 3), {key: torch.randn(2, 3) for key in keys})
    with pytest.raises(InputError, match=message):
        load_model(tmp_path / "w.pth")
