import pytest

from crots.config import Size, defaults
from crots.training.budget import RECIPES, VIEWS, for_round, settled, steps_for
from crots.training_options import AdaptOptions, BaselineOptions

SMALL, LARGE = Size(256, 128), Size(1024, 512)


def settle(options, images=400, start="trained", size=SMALL, device="cpu", multiple=1, share=1.0):
    return settled(options, images=images, start=start, size=size, device=device, multiple=multiple, share=share)


def test_what_the_user_set_is_taken_as_it_is():
    options = BaselineOptions(
        steps=7, learning_rate=0.5, unsure_weight=0.1, balance=0.1, mix="none", refresh=0, batch_norm="batch",
        crop=Size(64, 64), scale=1.5,
    )  # fmt: skip
    assert settle(options, size=LARGE) == options
    assert settle(BaselineOptions(), size=LARGE) != BaselineOptions()


@pytest.mark.parametrize("start", VIEWS)
def test_steps_follow_the_images_within_bounds(start):
    each, least, most = VIEWS[start]
    assert steps_for(1, start, 8) * 8 == pytest.approx(least, abs=8)
    assert steps_for(10**6, start, 8) * 8 == pytest.approx(most, abs=8)
    middle = 2 * least // each
    assert steps_for(middle, start, 4) * 4 == pytest.approx(each * middle, abs=4)
    found = settle(BaselineOptions(steps=0, batch=6), images=middle, start=start, size=LARGE)
    assert found.crop and found.steps == steps_for(middle, start, 6) and found.total == found.steps


@pytest.mark.parametrize("start", VIEWS)
def test_whole_images_are_seen_as_often_as_crops(start):
    steps = steps_for(400, start, 6)
    for options, size in ((BaselineOptions(), SMALL), (BaselineOptions(scale=1.0), LARGE), (BaselineOptions(), LARGE)):
        assert settle(options, start=start, size=size).steps == steps


def test_the_share_of_each_class_that_counts_in_a_round_follows_from_the_start():
    options = AdaptOptions()
    assert for_round(options, from_source=True).keep_share == 0.66
    assert for_round(options, from_source=False).keep_share == 0
    assert for_round(defaults(AdaptOptions, "published"), from_source=True).keep_share == 0
    assert for_round(AdaptOptions(keep_share=0.3), from_source=False).keep_share == 0.3


def test_a_round_takes_its_share():
    assert settle(AdaptOptions(steps=0, batch=4), images=1000, share=0.5).steps == 500


@pytest.mark.parametrize("start", RECIPES)
def test_the_recipe_follows_the_start_where_the_user_leaves_it_open(start):
    found = settle(BaselineOptions(), start=start)
    assert {name: getattr(found, name) for name in RECIPES[start]} == RECIPES[start]
    own = {"learning_rate": 0.5, "unsure_weight": 0.1, "balance": 0.2, "mix": "cutmix", "refresh": 1}
    own["batch_norm"] = "batch" if start == "trained" else "frozen"
    found = settle(BaselineOptions(**own), start=start)
    assert {name: getattr(found, name) for name in own} == own


def test_without_a_moving_average_labels_are_not_refreshed_by_themselves():
    assert settle(BaselineOptions(keep_ema=False), start="trained").refresh == 0


def test_all_starts_settle_the_same_options():
    assert len({tuple(recipe) for recipe in RECIPES.values()}) == 1


def test_large_images_are_trained_on_in_crops_on_a_processor_alone():
    options = BaselineOptions(scale=1.5)
    crop = settle(options, size=LARGE).crop
    assert crop == Size(576, 288)
    assert settle(options, size=Size(1000, 500), multiple=48).crop == Size(528, 288)
    assert settle(options, size=LARGE, device="cuda").crop is None
    assert settle(options, size=SMALL).crop is None
    assert settle(BaselineOptions(scale=1.0), size=LARGE).crop is None


@pytest.mark.parametrize(("start", "crops"), [("trained", False), ("pretrained", True), ("random", True)])
def test_a_fresh_student_sees_crops_of_smaller_images_too(start, crops):
    found = settle(BaselineOptions(steps=0), start=start, size=Size(320, 224), multiple=16)
    assert (found.crop == Size(176, 128)) is crops
    assert found.steps == steps_for(400, start, 6)


def test_the_moving_average_remembers_a_tenth_of_the_run():
    assert BaselineOptions(steps=1000, ema_decay=None).decay == pytest.approx(0.99)
    assert BaselineOptions(steps=10, ema_decay=None).decay == 0.98
    assert BaselineOptions(steps=10**6, ema_decay=None).decay == 0.9995
    assert BaselineOptions(steps=1000).decay == 0.99


def test_unsettled_options_say_so():
    with pytest.raises(ValueError, match="steps"):
        _ = BaselineOptions(steps=0).total
    with pytest.raises(ValueError, match="rate"):
        _ = BaselineOptions(learning_rate=None).rate
