import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crots.config import Size
from crots.errors import InputError
from crots.methods.mixing import STRATEGIES, MixPlan, apply_mix, plan_mix

torch.set_num_threads(1)
CLASSES = 5


def draw(strategy, count, size, seed=0, **kwargs):
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(0, CLASSES, (count, size.height, size.width)))
    labels[:, :1] = 255
    plan = plan_mix(strategy, count, size, rng, labels=labels, classes=CLASSES, **kwargs)
    return plan, labels


def sources(plan):
    """Which image each pixel of each mix comes from."""
    index = torch.arange(plan.count).view(-1, 1, 1).expand(-1, plan.size.height, plan.size.width)
    return apply_mix(plan, index)


@settings(max_examples=60)
@given(
    strategy=st.sampled_from(sorted(STRATEGIES)),
    count=st.integers(1, 6),
    width=st.integers(1, 13),
    height=st.integers(1, 13),
    seed=st.integers(0, 2**32 - 1),
    beta=st.sampled_from([0.0, 0.25, 0.5, 3.0]),
    partners=st.sampled_from(["distinct", "repeated"]),
)
def test_every_pixel_comes_from_the_same_place_of_an_image_and_labels_follow(
    strategy, count, width, height, seed, beta, partners
):
    size = Size(width, height)
    plan, labels = draw(strategy, count, size, seed, beta=beta, partners=partners)
    images = torch.arange(count * 3 * height * width).view(count, 3, height, width)
    confidence = torch.rand(count, height, width, generator=torch.Generator().manual_seed(1))
    source = sources(plan)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")

    mixed_images, mixed_labels, mixed_confidence = (apply_mix(plan, x) for x in (images, labels, confidence))

    for i in range(count):
        assert torch.equal(mixed_images[i], images[source[i], :, rows, columns].permute(2, 0, 1))
        assert torch.equal(mixed_labels[i], labels[source[i], rows, columns])
        assert torch.equal(mixed_confidence[i], confidence[source[i], rows, columns])
    assert torch.equal(images.flatten(), torch.arange(images.numel()))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_argmax_of_mixed_logits_is_the_mixed_argmax(strategy):
    plan, _ = draw(strategy, 4, Size(16, 12))
    logits = torch.randn(4, CLASSES, 12, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(apply_mix(plan, logits).argmax(1), apply_mix(plan, logits.argmax(1)))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_equal_seeds_give_equal_mixes_and_others_do_not(strategy):
    first, again, other = (sources(draw(strategy, 4, Size(40, 30), seed)[0]) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_spatialmix_keeps_the_own_top_left_and_takes_three_quadrants_of_others():
    rows, columns = set(), set()
    for seed in range(20):
        source = sources(draw("spatialmix", 4, Size(100, 50), seed, beta=0.25)[0])
        for i in range(4):
            corners = [int(source[i, y, x]) for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
            assert corners[0] == i
            assert sorted(corners) == [0, 1, 2, 3]
            row = int((source[i, :, 0] == i).sum())
            column = int((source[i, 0] == i).sum())
            assert 10 <= row <= 40
            assert 20 <= column <= 80
            rows.add(row)
            columns.add(column)
            expected = torch.tensor(corners).view(2, 2).repeat_interleave(torch.tensor([row, 50 - row]), 0)
            assert torch.equal(source[i], expected.repeat_interleave(torch.tensor([column, 100 - column]), 1))
    assert len(rows) > 10
    assert len(columns) > 10


def test_beta_of_zero_splits_in_the_middle():
    source = sources(draw("spatialmix", 4, Size(20, 10), beta=0.0)[0])
    assert (source[2, :5, :10] == 2).all()
    assert not (source[2, 5:] == 2).any()
    assert not (source[2, :, 10:] == 2).any()


def test_small_beta_prefers_far_splits():
    plan, _ = draw("spatialmix", 500, Size(1000, 1), beta=0.25)
    columns = np.array([box.right for box in plan.boxes if box.left == 0])
    assert columns.min() >= 200
    assert columns.max() <= 800
    assert np.mean((columns < 250) | (columns > 750)) > 0.35  # a flat draw would give 0.17


def test_partners_are_distinct_where_the_batch_allows_and_repeat_when_told_f6():
    def some_repeat(partners):
        found = False
        for seed in range(30):
            plan, _ = draw("spatialmix", 5, Size(8, 8), seed, partners=partners)
            for i in range(5):
                others = [box.source for box in plan.boxes if box.mix == i]
                assert i not in others
                found |= len(set(others)) < 3
        return found

    assert not some_repeat("distinct")
    assert some_repeat("repeated")


@pytest.mark.parametrize("partners", ["distinct", "repeated"])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_batch_of_one_is_left_as_it_is(strategy, partners):
    plan, _ = draw(strategy, 1, Size(9, 7), partners=partners)
    assert (sources(plan) == 0).all()


def test_small_batches_use_every_other_image():
    for count in (2, 3):
        plan, _ = draw("spatialmix", count, Size(10, 10))
        for i in range(count):
            assert {box.source for box in plan.boxes if box.mix == i} == set(range(count)) - {i}


def test_cutmix_pastes_one_box_of_another_image():
    for seed in range(20):
        source = sources(draw("cutmix", 3, Size(60, 40), seed)[0])
        for i in range(3):
            rows, columns = torch.nonzero(source[i] != i, as_tuple=True)
            box = source[i, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert (box == box[0, 0]).all()
            assert box[0, 0] != i
            assert 0.17 <= box.numel() / 2400 <= 0.83


def test_classmix_pastes_half_of_the_partners_classes_whole():
    plan, labels = draw("classmix", 3, Size(30, 30))
    source = sources(plan)
    for i, partner in enumerate(plan.partners):
        assert partner != i
        pasted = source[i] == partner
        classes = labels[partner][pasted].unique()
        assert len(classes) == 3  # half of 5, the odd one included
        assert 255 not in classes
        assert torch.equal(pasted, torch.isin(labels[partner], classes))


def test_classmix_of_an_ignored_image_pastes_nothing():
    labels = torch.full((2, 4, 4), 255)
    plan = plan_mix("classmix", 2, Size(4, 4), np.random.default_rng(0), labels=labels, classes=CLASSES)
    assert torch.equal(sources(plan)[:, 0, 0], torch.tensor([0, 1]))
    assert plan.mask is not None
    assert not plan.mask.any()


def test_classmix_chooses_among_all_classes():
    pasted = set()
    for seed in range(20):
        plan, labels = draw("classmix", 2, Size(20, 20), seed)
        pasted |= set(labels[plan.partners[0]][plan.mask[0]].tolist())
    assert pasted == set(range(CLASSES))


def test_a_mix_keeps_type_and_memory_format():
    plan, _ = draw("spatialmix", 4, Size(8, 8))
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8).to(memory_format=torch.channels_last)
    mixed = apply_mix(plan, images)
    assert mixed.dtype == torch.uint8
    assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="spatialmix"):
        plan_mix("spatialmx", 4, Size(8, 8), np.random.default_rng(0))
    with pytest.raises(ValueError, match="labels"):
        plan_mix("classmix", 4, Size(8, 8), np.random.default_rng(0))
    with pytest.raises(ValueError, match="8x8"):
        apply_mix(MixPlan(1, Size(8, 8)), torch.zeros(1, 3, 9, 8))
