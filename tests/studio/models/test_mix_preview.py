"""The mixing preview: the method's own functions on saved pseudo-labels, the same for the same seed."""

import dataclasses

import numpy as np
import pytest
import torch

from crots.config import describe
from crots.methods import mixing
from crots.taxonomy import load_class_set
from crots.training_options import AdaptOptions, BaselineOptions
from crots_studio.models.image_store import ImageMaps
from crots_studio.models.mix_preview import IMAGES, STRATEGIES, MixSettings, choose, make_mixes

CLASSES = load_class_set("camvid")
OPTIONS = AdaptOptions()


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def maps():
    """Image i is filled with i, labelled i and has confidence 0.2 + 0.2 i."""
    return [
        ImageMaps(
            np.full((48, 64, 3), 10 * index, np.uint8),
            np.full((48, 64), index, np.uint8),
            np.full((48, 64), 0.2 + 0.2 * index, np.float32),
        )
        for index in range(4)
    ]


def mixes(settings, maps, options=OPTIONS):
    return {mix.strategy: mix for mix in make_mixes(settings, options, maps, CLASSES.names, CLASSES.ignore)}


def test_every_strategy_is_shown(maps):
    found = mixes(MixSettings(), maps)
    assert list(found) == list(STRATEGIES)
    for mix in found.values():
        assert mix.image.shape == (48, 64, 3)
        assert mix.labels.shape == mix.confidence.shape == (48, 64)


def test_image_labels_and_confidence_are_mixed_alike(maps):
    for mix in mixes(MixSettings(seed=3), maps).values():
        assert np.array_equal(mix.image[..., 0], mix.labels * 10)
        assert np.allclose(mix.confidence, 0.2 + 0.2 * mix.labels)


def test_split_lines_lie_where_the_parts_meet(maps):
    mix = mixes(MixSettings(beta=0), maps)["spatialmix"]
    assert set(np.unique(mix.labels)) == {0, 1, 2, 3}
    assert mix.caption == "split at 50% across, 50% down"
    vertical = {line[0] for line in mix.lines if line[0] == line[2]}
    horizontal = {line[1] for line in mix.lines if line[1] == line[3]}
    assert (vertical, horizontal) == ({32}, {24})
    assert mix.labels[0, 31] != mix.labels[0, 32]
    assert mix.labels[23, 0] != mix.labels[24, 0]


def test_the_same_seed_gives_the_same_mix_and_another_one_another(maps):
    first, again, other = (mixes(MixSettings(seed=seed), maps)["spatialmix"] for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.labels, other.labels)


def test_beta_moves_the_split_and_leaves_the_partners(maps):
    near, far = (mixes(MixSettings(beta=beta, seed=5), maps)["spatialmix"] for beta in (0.0, 0.05))
    assert near.lines != far.lines
    assert near.labels[0, -1] == far.labels[0, -1]


def test_the_share_of_confident_pixels(maps):
    alone = AdaptOptions(keep_share=0)
    for threshold, expected in ((0.0, 1.0), (0.99, 0.0)):
        assert mixes(MixSettings(confidence=threshold), maps, alone)["spatialmix"].share == expected
    mix = mixes(MixSettings(confidence=0.5), maps, alone)["spatialmix"]
    assert mix.share == pytest.approx((mix.labels >= 2).mean())


def test_the_most_confident_of_each_class_count_too(maps):
    mix = mixes(MixSettings(confidence=0.99), maps, AdaptOptions(keep_share=0.5))["spatialmix"]
    assert np.array_equal(mix.counts, mix.labels == 3), "these have a confidence of 0.8; less than 0.7 never counts"


def test_augmentation_changes_the_image_and_mirrors_all_alike(maps):
    busy = [
        dataclasses.replace(one, image=np.random.default_rng(i).integers(0, 255, (48, 64, 3), dtype=np.uint8))
        for i, one in enumerate(maps)
    ]
    plain = mixes(MixSettings(seed=4), busy)["spatialmix"]
    done = mixes(MixSettings(seed=4, augmentation="all"), busy)["spatialmix"]
    assert np.array_equal(done.labels, plain.labels[:, ::-1])
    assert np.allclose(done.confidence, plain.confidence[:, ::-1])
    assert not np.array_equal(done.image, plain.image[:, ::-1])
    assert {line[0] for line in done.lines} == {64 - line[0] for line in plain.lines}


def test_chance_follows_the_options(maps):
    never = AdaptOptions(flip=0, jitter=0, blur=0)
    plain = mixes(MixSettings(seed=4), maps, never)["cutmix"]
    drawn = mixes(MixSettings(seed=4, augmentation="chance"), maps, never)["cutmix"]
    assert np.array_equal(plain.image, drawn.image)


def test_without_confidence_every_pixel_counts(maps):
    bare = [dataclasses.replace(one, confidence=None) for one in maps]
    assert mixes(MixSettings(confidence=1.0), bare)["spatialmix"].share == 1


def test_images_of_several_sizes_are_brought_to_one(maps):
    large = ImageMaps(np.zeros((96, 128, 3), np.uint8), np.zeros((48, 64), np.uint8), np.ones((48, 64), np.float32))
    assert mixes(MixSettings(), [*maps[:3], large])["spatialmix"].image.shape == (48, 64, 3)


def test_classmix_names_what_it_pastes(maps):
    assert mixes(MixSettings(), maps)["classmix"].caption.startswith("pasted: ")


def test_images_are_drawn_by_the_seed():
    assert choose(10, 1) == choose(10, 1)
    assert choose(10, 1) != choose(10, 2)
    assert len(set(choose(10, 1))) == IMAGES
    assert len(choose(2, 0)) == IMAGES
    assert choose(0, 0) == []


def test_what_the_sliders_would_change():
    options = AdaptOptions(beta=None)
    settings = MixSettings.of(options)
    assert settings.changed_options(options) == {}
    assert dataclasses.replace(settings, confidence=0.5).changed_options(options) == {"confidence": 0.5}


def test_every_strategy_can_be_chosen_and_has_a_title():
    (adapt,), (baseline,) = (
        [set(info.choices) for info in describe(options) if info.name == "mix"]
        for options in (AdaptOptions, BaselineOptions)
    )
    assert adapt == set(STRATEGIES) == set(mixing.STRATEGIES) == baseline - {"auto", "none"}
