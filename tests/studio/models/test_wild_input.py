"""The plain models under wild input: undo, curves, lists, log lines, class maps, rare classes."""

import csv
import io

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from crots.class_maps import load_class_map
from crots.errors import InputError, StageError
from crots.events import Evaluated, Metrics, Note, Progress, Scored, StageFinished, StageStarted
from crots.taxonomy import IGNORE_WORD, ClassSet, make_palette
from crots_studio.models.class_map import ClassMapForm
from crots_studio.models.history import History
from crots_studio.models.label_list import ORDERS, PARTS, LabelList
from crots_studio.models.log_lines import to_lines
from crots_studio.models.patch_gallery import rare_now, rare_option
from crots_studio.models.rail import rail_rows
from crots_studio.models.run_state import RunState
from crots_studio.models.series import Curves, curves_csv, rolling_mean
from crots_studio.models.undo import Step, UndoStack
from crots_studio.models.words import breakable, command_text, duration, listing

STAGES = st.sampled_from(["baseline", "adapt-1", "adapt-2"])
STEPS = st.integers(1, 12)
COUNTS = st.integers(0, 10**9)
# The clock may be set back between two events.
TIMES = st.floats(0, 4e9)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.sampled_from(["loss", "confidence weight", "learning rate"])
EVENTS = st.lists(
    st.one_of(
        st.builds(StageStarted, stage=STAGES, total=STEPS, resumed_at=st.integers(0, 12), time=st.just(1.0)),
        st.builds(Metrics, stage=STAGES, step=STEPS, values=st.dictionaries(NAMES, NUMBERS, min_size=1)),
        # The first look at a student is before its first step.
        st.builds(Scored, stage=STAGES, step=st.integers(0, 12), values=st.just({"agreement": 0.5})),
        st.builds(Evaluated, stage=STAGES, subject=STAGES, miou=st.floats(0, 1), per_class_iou=st.just({}), step=STEPS),
        st.builds(Progress, stage=STAGES, done=COUNTS, total=COUNTS, time=TIMES, rate=st.floats(0, 1e6)),
        st.builds(Note, stage=st.text(), text=st.text(), level=st.sampled_from(["info", "warning"])),
        st.builds(StageFinished, stage=STAGES, outcome=st.sampled_from(["completed", "cancelled", "failed"]),
                  seconds=st.floats(0, 1e9), message=st.text()),
    ),
    max_size=30,
)  # fmt: skip


def points(curves):
    return {
        (stage, figure): (series.steps.tolist(), [repr(value) for value in series.values.tolist()])
        for stage in curves.stages
        for figure in curves.figures([stage])
        for series in [curves.series(stage, figure)]
    }


@given(EVENTS)
@example([Scored(stage="baseline", step=0, values={"agreement": 0.5}), StageStarted(stage="baseline", total=5)])
def test_curves_that_grow_are_those_of_the_history(events):
    grown = Curves()
    for event in events:
        grown.add([event])
    assert points(grown) == points(History(events).curves)
    for stage in grown.stages:
        for figure in grown.figures([stage]):
            steps = grown.series(stage, figure).steps
            assert (np.diff(steps) > 0).all()


@given(EVENTS)
def test_every_number_of_the_curves_can_be_read_back(events):
    curves = Curves(events)
    rows = list(csv.reader(io.StringIO(curves_csv(curves))))
    found = [repr(float(cell)) for row in rows[1:] for cell in row[2:] if cell]
    result = [text for _, values in points(curves).values() for text in values]
    assert sorted(found) == sorted(result)


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([float("nan"), float("inf")]), max_size=40), st.integers(1, 60))
def test_the_rolling_mean_is_the_mean_of_what_is_finite(values, window):
    means = rolling_mean(np.array(values, float), window)
    if window == 1:
        assert [repr(value) for value in means.tolist()] == [repr(value) for value in map(float, values)]
        return
    for place, mean in enumerate(means):
        part = [value for value in values[max(0, place - window + 1) : place + 1] if np.isfinite(value)]
        assert np.isnan(mean) if not part else np.isclose(mean, np.mean(part), rtol=1e-6, atol=1e-6)


@given(EVENTS)
def test_the_log_the_rail_and_the_run_bar_have_words_for_whatever_comes(events):
    run, history = RunState(), History(events)
    run.begin()
    run.add(events)
    assert 0 <= run.fraction <= 1 and isinstance(run.text + run.pace, str)
    assert all(str(line) for line in to_lines(events))
    assert all(row.spoken for row in rail_rows([], run, {}, history))


@given(st.lists(st.sampled_from(["do", "undo", "redo", "refuse"]), max_size=60), st.integers(1, 5))
def test_undo_and_redo_walk_along_what_was_done(acts, most):
    disk, refusing, made = {"a": 0, "b": 0}, [False], [0]

    def write(part, state):
        if refusing[0]:
            raise StageError("the disk is full")
        disk[part] = state

    stack = UndoStack(write, most)
    done, undone = [], []
    for act in acts:
        refusing[0] = act == "refuse"
        if act in ("do", "refuse"):
            made[0] += 1
            part = "ab"[made[0] % 2]
            step = Step(f"step {made[0]}", part, disk[part], made[0])
            try:
                stack.do(step)
            except StageError:
                continue
            done, undone = [*done, step][-most:], []
        elif act == "undo":
            assert stack.undo() == (done[-1] if done else None)
            undone = [*undone, *done[-1:]]
            done = done[:-1]
        else:
            assert stack.redo() == (undone[-1] if undone else None)
            done, undone = [*done, *undone[-1:]][-most:], undone[:-1]
        assert (stack.undo_text, stack.redo_text) == tuple(part[-1].text if part else "" for part in (done, undone))
        for part in disk:
            states = [step.after for step in done if step.part == part]
            assert not states or disk[part] == states[-1]


CLASSES = 3


@st.composite
def label_lists(draw):
    keys = sorted(draw(st.sets(st.text(max_size=6), max_size=12)))
    count, labelled = len(keys), draw(st.booleans())
    floats = st.floats(0, 3, width=32) | st.just(float("nan"))
    columns = st.lists(st.integers(0, 99), min_size=CLASSES, max_size=CLASSES)
    if not labelled:
        return LabelList(keys=tuple(keys), files=tuple(keys), entropy=np.full(count, np.nan, np.float32),
                         hard=np.zeros(count, bool), pixels=np.zeros((count, 0), np.int32),
                         confidence=np.zeros((count, 0), np.float32))  # fmt: skip
    pixels = np.array(draw(st.lists(columns, min_size=count, max_size=count)), np.int32).reshape(count, CLASSES)
    return LabelList(
        keys=tuple(keys),
        files=tuple(keys),
        entropy=np.array(draw(st.lists(floats, min_size=count, max_size=count)), np.float32),
        hard=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool),
        pixels=pixels,
        confidence=pixels * np.float32(0.5),
        doubt=np.array(draw(st.lists(floats, min_size=count, max_size=count)), np.float32),
    )


@given(label_lists(), st.sampled_from(list(ORDERS)), st.sampled_from(list(PARTS)),
       st.none() | st.integers(0, CLASSES - 1), st.text(max_size=2))  # fmt: skip
def test_images_are_sorted_and_filtered_and_never_twice(labels, order, part, shows, text):
    found = labels.arrange(order, part=part, shows=shows, text=text)
    assert len(set(found)) == len(found)
    assert all(text.strip().lower() in labels.keys[index].lower() for index in found)
    if not labels.labelled:
        return
    wanted = [
        index
        for index in range(len(labels))
        if (part == "all" or labels.hard[index] == (part == "hard"))
        and (shows is None or labels.pixels[index, shows] > 0)
        and text.strip().lower() in labels.keys[index].lower()
    ]
    assert sorted(found) == wanted
    if order == "class" and shows is not None:
        shown = [int(labels.pixels[index, shows]) for index in found]
        assert shown == sorted(shown, reverse=True)
    if order == "name":
        assert found == wanted
    assert all(labels.row(index).key == labels.keys[index] for index in found)


def class_sets(name):
    names = st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=6)
        .map(str.strip)
        .filter(lambda text: text and text != IGNORE_WORD),
        min_size=1, max_size=5, unique=True,
    )  # fmt: skip
    return names.map(lambda found: ClassSet(name, tuple(found), tuple(make_palette(len(found)))))


@settings(max_examples=60)
@given(class_sets("one"), class_sets("two"), st.data())
def test_a_class_map_of_whatever_names_is_read_back_as_it_was_made(tmp_path_factory, source, target, data):
    form = ClassMapForm.proposed(source, target)
    for name in source.names:
        form.set(name, data.draw(st.sampled_from(form.choices)))
    # A map that ignores everything is refused.
    assume(set(form.rows.values()) != {IGNORE_WORD})
    path = tmp_path_factory.mktemp("maps") / "map.toml"
    path.write_text(form.text, "utf-8")
    if set(form.rows.values()) == {IGNORE_WORD}:
        with pytest.raises(InputError, match="ignores every class"):
            load_class_map(path, source, target)
        return
    assert load_class_map(path, source, target).names() == form.rows
    assert ClassMapForm.read(path, source, target).rows == form.rows


@given(class_sets("one"), st.data())
def test_a_chosen_set_of_rare_classes_means_the_same_after_writing(classes, data):
    from crots.options import MineOptions

    chosen = data.draw(st.sets(st.integers(0, len(classes) - 1), min_size=1))
    options = MineOptions(rare=rare_option(chosen, classes))
    assert set(rare_now(options, classes, None, ())) == chosen


@given(st.floats(0, 1e9), st.lists(st.text(max_size=8)), st.integers(0, 30), st.text())
def test_words(seconds, names, room, name):
    assert duration(seconds)[0].isdigit() and "60 s" not in duration(seconds)
    assert listing(names, room).count(", ") <= sum(name.count(", ") for name in names) + len(names)
    assert breakable(name).replace("\u200b", "") == name.replace("\u200b", "")


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1))
def test_a_command_can_be_split_again(words):
    import shlex

    assert shlex.split(command_text(words)) == words


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (59.6, "1 min 00 s"), (599.6, "10 min"), (3599, "1 h 00 min")]
)
def test_durations_between_two_units(seconds, text):
    assert duration(seconds) == text
