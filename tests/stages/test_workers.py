"""How work is dealt to workers: by arithmetic that all of them do alike."""

import pytest
import tiny_world as world
import torch
from hypothesis import given
from hypothesis import strategies as st
from many_steps import make_learner, write_material

from crots.config import Size
from crots.errors import InputError
from crots.methods.mixing import apply_mix, plan_mix
from crots.stages.engine import random_numpy
from crots.stages.workers import (
    MIX_GROUP,
    Workers,
    by_first,
    check_batch_size,
    current,
    is_first,
    launched,
    mix_groups,
    passes,
    session,
    whole_groups,
)

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


def test_a_batch_that_cannot_be_dealt_is_refused_with_the_nearest_that_can():
    check_batch_size(8, 4)
    with pytest.raises(InputError, match=r"dealt evenly to 4 workers; .* such as 8") as refused:
        check_batch_size(6, 4)
    assert refused.value.field == "batch"


def test_a_process_on_its_own_exchanges_nothing():
    assert not launched() and is_first()
    with session("no device at all") as workers:
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
