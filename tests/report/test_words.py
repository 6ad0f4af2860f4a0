from dataclasses import replace

import pytest

from crots.report.facts import Changes, ClassChange, KeptModel, ModelScore, Result
from crots.report.words import names, small, summarise, summary


def scored(subject, miou, images=50, **classes):
    return ModelScore(subject, miou, classes, images=images)


def result(*scores, choices=()):
    return Result(scores[-1].subject if scores else "adapt-1", scores, choices)


def told(found):
    return "\n".join((found.headline, *found.changed, *found.better, *found.worse, *found.sure, *found.look))


@pytest.mark.parametrize(
    ("now", "tone", "part"),
    [
        (0.55, "better", "mIoU rose from 50.0% (source) to 55.0% (round 1), +5.0 points"),
        (0.45, "worse", "mIoU fell from 50.0% (source) to 45.0% (round 1), -5.0 points"),
        (0.504, "even", "About as good as before"),
        (0.496, "even", "About as good as before"),
    ],
)
def test_the_headline_says_better_worse_or_about_the_same(now, tone, part):
    found = summarise(result(scored("source", 0.5), scored("adapt-1", now)))
    assert found.tone == tone
    assert part in found.headline
    assert ("the source itself is the better model here" in found.look) == (tone == "worse")
    assert not any("crots predict can label" in line for line in found.look)
    black_box = summarise(replace(result(scored("source", 0.5), scored("adapt-1", now)), predictions=True)).look
    assert any("crots predict can label" in line for line in black_box) == (tone == "worse")


def test_only_a_student_that_did_not_start_from_the_source_is_said_to_need_more_images():
    worse = result(scored("source", 0.5), scored("adapt-1", 0.45))
    assert "did not start from it" in told(summarise(replace(worse, other_start=True)))
    assert "did not start from it" not in told(summarise(worse))


def test_classes_that_gained_and_lost_are_named_the_greatest_first():
    before = scored("source", 0.4, road=0.8, car=0.3, bus=0.5, pole=0.2, sky=None, fence=0.5)
    now = scored("adapt-1", 0.5, road=0.81, car=0.4, bus=0.9, pole=0.1, sky=0.9, fence=0.2)
    found = summarise(result(before, now))
    assert found.better == ("2 classes gained 2 points of IoU or more: bus +40.0, car +10.0",)
    assert found.worse == ("2 classes lost 2 points of IoU or more: fence -30.0, pole -10.0",)


def test_a_class_that_is_no_longer_recognised_is_reported():
    found = summarise(result(scored("source", 0.4, rider=0.12), scored("adapt-1", 0.4, rider=0.0)))
    assert "no longer recognised at all: rider" in found.worse


def test_certainty_names_images_choice_by_labels_and_validation_during_training():
    few = told(summarise(result(scored("source", 0.4), scored("adapt-1", 0.5, images=4))))
    assert "4 labelled validation images" in few and "Only 4 images" in few
    assert "Only" not in told(summarise(result(scored("source", 0.4), scored("adapt-1", 0.5, images=400))))
    oracle = result(scored("source", 0.4), ModelScore("adapt-1", 0.5, images=50, oracle=True))
    assert "chose the checkpoint (oracle)" in told(summarise(oracle))
    on_the_way = result(ModelScore("baseline", 0.4, step=150), ModelScore("adapt-1", 0.5, step=100))
    assert "during training" in told(summarise(on_the_way))


def test_an_earlier_model_that_scored_higher_is_pointed_at():
    found = result(scored("source", 0.3), scored("baseline", 0.5), scored("adapt-1", 0.45))
    assert any("baseline scored higher (50.0%)" in line for line in summarise(found).look)
    better = result(scored("source", 0.3), scored("baseline", 0.5), scored("adapt-1", 0.55))
    assert not any("scored higher" in line for line in summarise(better).look)


def test_without_an_earlier_score_no_gain_is_claimed():
    found = summarise(result(scored("baseline", 0.439)))
    assert found.tone == "unknown"
    assert "the gain is unknown" in found.headline


VIEWS = {"flip": 0.7, "scale": 0.7, "colour": 0.7}


def test_without_labels_nothing_is_called_better():
    steady = {**VIEWS, "source": 0.97}
    found = summarise(result(choices=(KeptModel("baseline", 100, 100, start=VIEWS, end=steady),)))
    assert found.tone == "unknown"
    assert "no label-free score indicates harm" in found.headline
    assert "no gain can be proved" in told(found)
    assert "97.0% of the source's most confident pixels keep their label" in told(found)
    assert "weak sign" not in told(found), "consistency did not rise"
    assert any("given for validation" in line for line in found.look)


def test_a_rise_of_consistency_is_called_a_weak_sign():
    choice = KeptModel("adapt-1", 100, 100, start=VIEWS, end=dict.fromkeys(VIEWS, 0.8))
    assert "0.70 before, 0.80 now); training raises this by itself, so it is a weak sign" in told(
        summarise(result(choices=(choice,)))
    )


def test_alarms_and_vanishing_classes_are_signs_of_harm():
    choice = KeptModel("adapt-1", 50, 100, vanishing=("pole", "bus"), alarms=("classes merge (information 0.6)",))
    found = summarise(result(choices=(choice,)))
    assert "signs of harm" in found.headline
    assert found.tone == "harm"
    assert found.worse == (
        "round 1: classes merge (information 0.6)",
        "perhaps lost (or false positives that were corrected): bus, pole",
    )


def test_a_round_that_kept_its_start_is_reported():
    assert "round 1 kept its starting weights" in summarise(result(choices=(KeptModel("adapt-1", 0, 100),))).headline


@pytest.mark.parametrize(("kept", "said"), [(0, "kept its starting weights"), (40, "went back to step 40")])
def test_a_stage_that_an_alarm_stopped_is_reported_with_the_alarm(kept, said):
    choice = KeptModel("baseline", kept, 100, given_up="the student's outputs became infinite")
    found = summarise(result(choices=(choice,)))
    assert f"baseline was stopped by an alarm and {said}" in found.headline
    measured = summarise(result(scored("source", 0.4), scored("baseline", 0.4), choices=(choice,)))
    for told_of in (found, measured):
        assert "baseline was stopped: the student's outputs became infinite" in told_of.worse


def changes(**images):
    classes = (
        ClassChange("road", 0.5, 0.52, 0.99),
        ClassChange("pole", 0.02, 0.004, 0.4, vanishing=True),
        ClassChange("bus", 0.001, 0.01, None),
    )
    return Changes("adapt-1", images, classes, sure=True)


def test_classes_that_may_be_lost_are_in_the_headline():
    choice = KeptModel("adapt-1", 50, 100)
    assert "no label-free score indicates harm" in summarise(result(choices=(choice,))).headline
    found = summarise(result(choices=(choice,)), changes(a=0.3))
    assert found.headline == "Not measured against labels; 1 class may have been lost." and found.tone == "unknown"
    two = replace(choice, vanishing=("bus",))
    assert "2 classes may have been lost" in summarise(result(choices=(two,)), changes(a=0.3)).headline


def test_what_changed_on_the_target_is_reported_without_judgement():
    found = summarise(result(scored("source", 0.4), scored("adapt-1", 0.5)), changes(a=0.3, b=0.1))
    assert "On 2 target images, round 1 gives 20.0% of the pixels another label" in told(found)
    assert "Predicted more often: bus 0.10% → 1.0%." in found.changed
    assert "Predicted less often: pole 2.0% → 0.40%." in found.changed
    assert "of the images compared, those whose labels changed most: a (30%), b (10%)" in found.look
    assert "classes that changed where the source was most confident: pole (40% kept)" in found.look
    assert "perhaps lost" not in told(found), "labels say it better"


def test_images_without_any_change_are_not_those_that_changed_most():
    assert not any("changed most" in line for line in summarise(result(), changes(a=0.0, b=0.0)).look)
    found = summarise(result(), changes(a=0.3, b=0.0)).look
    assert "of the images compared, those whose labels changed most: a (30%)" in found


def test_the_summary_of_a_project_without_a_student_is_empty():
    assert summary(Result("")) == []
    assert summary(result(scored("source", 0.4), scored("adapt-1", 0.5)))[0].startswith("Better")


def test_lists_and_shares_are_short():
    assert names("abcdefg") == "a, b, c, d, e, f, g"
    assert names("abcdefgh") == "a, b, c, d, e, f and 2 more"
    assert [small(share) for share in (0, 1e-6, 0.0004, 0.032)] == ["0", "<0.01%", "0.04%", "3.2%"]


def test_a_source_that_says_one_class_everywhere_is_a_sign_of_harm():
    kept = KeptModel("adapt-1", 100, 100, start=VIEWS, end=VIEWS)
    found = summarise(replace(result(choices=(kept,)), everywhere="road"))
    assert (found.tone, "signs of harm" in found.headline) == ("harm", True)
    assert any("the source says road nearly everywhere" in line for line in found.worse)
    assert any("channel order" in line for line in found.look)
    hidden = summarise(replace(result(choices=(kept,)), everywhere="road", predictions=True)).look
    assert any("made the predictions" in line for line in hidden) and not any("weights" in line for line in hidden)
    measured = summarise(replace(result(scored("source", 0.1), scored("adapt-1", 0.1)), everywhere="road"))
    assert any("road nearly everywhere" in line for line in measured.worse) and measured.tone == "even"
