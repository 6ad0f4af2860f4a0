"""How work is dealt to workers: by arithmetic that all of them do alike."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crots.config import Size
from crots.errors import InputError
from crots.execution.batches import MIX_GROUP, check_batch_size, mix_groups, passes, whole_groups
from crots.execution.draws import random_numpy
from crots.execution.group import _buckets, share_batch_norm, worker_device
from crots.execution.launch import process_group
from crots.execution.workers import Workers, by_first, current, is_first, launched, unshared_batch_norms
from crots.methods.mixing import apply_mix, plan_mix
from tests.stages import tiny_world as world
from tests.stages.many_steps import make_learner, write_material

WORLDS = st.integers(1, 16)


def one_of(rank, world):
    workers = Workers()
    workers.rank, workers.world = rank, world
    return workers


@given(WORLDS, st.integers(1, 12))
def test_the_parts_of_a_batch_are_equal_and_make_up_the_batch(world, each):
    batch = world * each
    parts = [one_of(rank, world).part(batch) for rank in range(world)]
    assert [index for part in parts for index in range(batch)[part]] == list(range(batch))
    assert {part.stop - part.start for part in parts} == {each}


@given(WORLDS, st.lists(st.integers(), max_size=60))
def test_a_set_is_dealt_in_turns_in_its_order(world, items):
    hands = [one_of(rank, world).dealt(items) for rank in range(world)]
    turns = list(zip(*hands, strict=True))
    assert [item for turn in turns for item in turn if item is not None] == items
    assert len(turns) == -(-len(items) // world)


@given(WORLDS, st.lists(st.integers(), max_size=60), st.integers(1, 9))
def test_every_worker_has_as_many_batches(world, items, size):
    hands = [one_of(rank, world).dealt_batches(items, size) for rank in range(world)]
    assert sorted(item for batches in hands for batch in batches for item in batch) == sorted(items)
    assert len({len(batches) for batches in hands}) == 1
    assert all(len(batch) <= size for batches in hands for batch in batches)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
def test_no_worker_sees_more_images_at_once_than_one_process_would(world, share, accumulate):
    batch = world * share * accumulate
    own = passes(batch, accumulate, world)
    assert (batch // world) % own == 0
    assert batch // world // own <= batch // accumulate
    assert passes(batch, accumulate) == accumulate


@given(st.integers(1, 200))
def test_groups_of_mixes_cover_the_batch_and_none_is_smaller_than_four_images(batch):
    groups = mix_groups(batch)
    assert [index for group in groups for index in range(batch)[group]] == list(range(batch))
    sizes = [group.stop - group.start for group in groups]
    assert min(sizes) >= min(batch, MIX_GROUP) and max(sizes) < 2 * MIX_GROUP
    if batch % MIX_GROUP == 0:
        assert set(sizes) == {MIX_GROUP}


@given(WORLDS, st.integers(1, 20))
def test_whole_groups_are_those_that_no_worker_shares_with_another(world, each):
    batch, groups = world * each, mix_groups(world * each)
    owners = [{index // each for index in range(batch)[group]} for group in groups]
    assert whole_groups(groups, batch, world) is all(len(own) == 1 for own in owners)
    if each % MIX_GROUP == 0:
        assert whole_groups(groups, batch, world)


def test_a_batch_that_cannot_be_split_is_refused_with_the_nearest_that_can():
    check_batch_size(8, 4)
    with pytest.raises(InputError, match=r"split evenly over 4 workers; .* such as 8") as refused:
        check_batch_size(6, 4)
    assert refused.value.field == "batch"


def test_a_process_on_its_own_exchanges_nothing():
    assert not launched() and is_first()
    with process_group("no device at all") as workers:
        tensor = torch.ones(2)
        assert workers is current() and workers.first and workers.world == 1
        assert workers.sum(tensor) is tensor and workers.joined(tensor) is tensor
        assert workers.gathered("a") == ["a"] and workers.from_first(lambda: 3) == workers.together(lambda: 3) == 3
        assert list(by_first(lambda: iter((1, 2)))) == [1, 2]


def test_up_to_seven_images_are_mixed_as_one_group_by_the_draws_of_the_step(tmp_path):
    write_material(tmp_path)
    for batch in (4, 7):
        learner = make_learner(tmp_path, kind="adapt", batch=batch)
        images = learner.engine.images(learner.load(5).images)
        rng = random_numpy(3, "adapt-1", 5, "mix")
        plan = plan_mix("spatialmix", batch, Size(*world.SIZE), rng, beta=0.25)
        assert torch.equal(learner.mix(images, 5).images, apply_mix(plan, images))


def test_a_large_batch_is_mixed_within_groups_that_draw_for_themselves(tmp_path):
    write_material(tmp_path)
    learner = make_learner(tmp_path, kind="adapt", batch=8, beta=0.0)
    images = torch.arange(8).view(-1, 1, 1, 1).expand(8, 3, 32, 32).to(torch.uint8).contiguous()
    orders = set()
    for step in range(6):
        mixed = learner.mix(images, step)
        for place, mix in enumerate(mixed.images):
            shown = set(mix.unique().tolist())
            assert shown == (set(range(4)) if place < 4 else set(range(4, 8)))
        corners = mixed.images[:, 0, -1, -1].tolist()
        orders.add(tuple(corners[:4]) == tuple(corner - 4 for corner in corners[4:]))
    assert orders != {True}


def test_shared_batch_norm_keeps_names_weights_and_what_else_a_layer_does():
    timm_layers = pytest.importorskip("timm.layers")

    class Own(torch.nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).abs()

    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4), timm_layers.BatchNormAct2d(4), Own(4))
    for layer in net[1:]:
        torch.nn.init.normal_(layer.weight)
        layer.running_mean.normal_()
    net[1].weight.requires_grad_(False)
    net.eval()
    images = torch.randn(2, 3, 5, 5)
    before, parameters, expected = dict(net.state_dict()), list(net.parameters()), net(images)
    share_batch_norm(net)
    assert [type(layer).__name__ for layer in net] == ["Conv2d", "SyncBatchNorm", "SyncBatchNormAct", "Own"]
    assert list(net.state_dict()) == list(before) and torch.equal(net(images), expected)
    # The optimiser holds the same parameters, and the frozen ones stay frozen.
    assert all(mine is theirs for mine, theirs in zip(net.parameters(), parameters, strict=True))
    assert not net[1].weight.requires_grad and net[2].weight.requires_grad
    assert unshared_batch_norms(net) == [net[3]]


@given(st.lists(st.tuples(st.integers(0, 5 * 2**20), st.booleans()), max_size=20))
def test_buckets_hold_every_tensor_once_in_order_and_one_type_each(sizes):
    tensors = [torch.empty(size, device="meta", dtype=torch.float16 if half else torch.float32) for size, half in sizes]
    buckets = list(_buckets(tensors))
    assert sorted(map(id, (tensor for bucket in buckets for tensor in bucket))) == sorted(map(id, tensors))
    assert all(len({tensor.dtype for tensor in bucket}) == 1 and bucket for bucket in buckets)
    assert all(sum(tensor.nbytes for tensor in bucket[:-1]) < 32 * 2**20 for bucket in buckets)


def test_each_worker_has_a_device_of_its_own(monkeypatch):
    assert worker_device("cpu", 3).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(worker_device("auto", 1)) == "cuda:1"
    with pytest.raises(InputError, match="worker 2 of this machine has no CUDA device, 2 found"):
        worker_device("cuda", 2)
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        worker_device("cuda:1", 0)
