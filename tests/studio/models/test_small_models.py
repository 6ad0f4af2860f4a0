"""Class map, run state, recent projects, log lines, words."""

import pytest

from crots.artefacts import section_of
from crots.class_maps import load_class_map
from crots.errors import InputError
from crots.events import Metrics, Note, Progress, Scored, StageFinished, StageStarted
from crots.options import all_options
from crots.taxonomy import load_class_set
from crots_studio.models.class_map import ClassMapForm
from crots_studio.models.log_lines import to_lines
from crots_studio.models.recent import MOST, Recent
from crots_studio.models.run_state import RunState
from crots_studio.models.words import (
    breakable,
    byte_count,
    duration,
    fault_text,
    in_window,
    listing,
    option_title,
    plural,
)

SOURCE, TARGET = load_class_set("cityscapes"), load_class_set("camvid")


def test_a_shipped_map_is_proposed_where_there_is_one():
    form = ClassMapForm.proposed(SOURCE, TARGET)
    assert form.rows["vegetation"] == "tree"
    assert form.unreached == ()
    assert form.summary == "19 of 19 source classes are mapped"


def test_without_a_shipped_one_names_decide():
    form = ClassMapForm.proposed(TARGET, load_class_set("demo"))
    assert form.rows["sky"] == "sky"


def test_what_was_edited_is_read_back_by_the_core(tmp_path):
    form = ClassMapForm.proposed(SOURCE, TARGET)
    form.set("truck", "ignore")
    (tmp_path / "map.toml").write_text(form.text, "utf-8")
    assert load_class_map(tmp_path / "map.toml", None, TARGET).names() == form.rows
    assert ClassMapForm.read(tmp_path / "map.toml", SOURCE, TARGET).rows == form.rows


def test_a_class_that_is_none_is_refused():
    with pytest.raises(InputError, match="cannot map"):
        ClassMapForm(SOURCE, TARGET).set("road", "lava")


def test_an_empty_map_reaches_nothing():
    form = ClassMapForm(SOURCE, TARGET)
    assert form.unreached == TARGET.names
    assert "19 ignored" in form.summary


def test_run_state_tells_pace_and_what_was_asked_for():
    run = RunState()
    assert run.text == "No run"
    run.begin()
    assert run.text == "Starting ..."
    run.add(
        [
            StageStarted(stage="adapt-1", total=100, time=0.0),
            Progress(stage="adapt-1", done=1, total=100, time=20.0),
            Progress(stage="adapt-1", done=11, total=100, time=25.0),
        ]
    )
    assert run.text == "Round 1: step 11 of 100"
    assert run.seconds_left == 44.5
    assert run.pace == "2 steps/s, 44 s left"
    run.interrupt_clock()
    assert run.seconds_left is None
    run.paused = True
    assert run.text.endswith("paused")
    run.stopping, run.paused = True, False
    assert "stopping after this step" in run.text
    run.discarding = True
    assert "discarding" in run.text


def test_recent_keeps_the_latest_first_and_once(tmp_path):
    recent = Recent()
    for number in range(MOST + 3):
        recent = recent.opened(tmp_path / str(number))
    recent = recent.opened(tmp_path / "5")
    assert len(recent.paths) == MOST
    assert recent.rows()[0].name == "5" and not recent.rows()[0].present
    assert str(tmp_path / "5") not in recent.without(tmp_path / "5").paths


def test_log_lines_leave_progress_out_and_mark_what_matters():
    lines = to_lines(
        [
            StageStarted(stage="baseline", total=3, device="cuda:0", resumed_at=1),
            Progress(stage="baseline", done=1, total=3),
            Metrics(stage="baseline", step=2, values={"loss": 0.123456}),
            Scored(stage="baseline", step=2, values={"source": 0.5}),
            Note(stage="baseline", text="no confidence", level="warning"),
            StageFinished(stage="baseline", outcome="failed", seconds=2, message="the disk is full"),
        ]
    )
    assert [line.level for line in lines] == ["info", "info", "info", "warning", "error"]
    assert "resumed at 1" in lines[0].text and "cuda:0" in lines[0].text
    assert "loss 0.1235" in lines[1].text
    assert "agreement with the source 0.5" in lines[2].text, "as beside the curves"
    assert "the disk is full" in str(lines[4])


def test_messages_of_the_core_use_the_words_of_the_window():
    assert in_window("allow it by `runtime.trust`") == "allow it by the trust question in Set-up"
    assert in_window("give `data.val_labels`") == "give “Validation labels” (settings, Images)"
    assert in_window("give `source.mean` (3)") == "give “Channel means” (settings, Source) (3)"
    assert in_window("`adapt.stop_rounds` = false runs it") == (
        "switching off “Skip needless rounds” (settings, Adaptation) runs it"
    )
    offered = InputError(
        "a.tif: holds values from 0 to 1, expected bits; say what is white (`data.white` 1; 0 is black)"
    )
    assert fault_text(offered, offered=True) == "a.tif: holds values from 0 to 1, expected bits"
    assert "“White level” (settings, Images) 1; 0 is black" in fault_text(offered)
    assert fault_text(InputError("found a; choose others"), offered=True) == "found a; choose others"
    assert fault_text(MemoryError()) == "MemoryError"
    for words in (
        "/photos/data.target/a.png",
        "my-data.size",
        "data.zip",
        "source.safetensors",
        "C:\\data.size",
        "a--b",
        "`no.option`",
    ):
        assert in_window(words) == words


def test_words():
    found = [duration(seconds) for seconds in (0.42, 42, 200, 1700, 7500)]
    assert found == ["0.4 s", "42 s", "3 min 20 s", "28 min", "2 h 05 min"]
    assert byte_count(640e6) == "640 MB" and byte_count(3.1e9) == "3.1 GB"
    assert plural(1, "image") == "1 image" and plural(2, "image") == "2 images"
    assert section_of("adapt-2") == "adapt" and section_of("pseudo-label") == "pseudo_label"
    assert option_title("adapt.learning_rate") == "Learning rate"


def test_options_are_called_what_they_do():
    """A name that is clear below its section in a file says too little beside a field."""
    known = all_options()
    assert {path: option_title(path) for path in ("adapt.select", "baseline.clip", "pseudo_label.easy")} == {
        "adapt.select": "Checkpoint to keep", "baseline.clip": "Gradient clipping",
        "pseudo_label.easy": "Share of easy images",
    }  # fmt: skip
    for section in {path.partition(".")[0] for path in known}:
        titles = [option_title(path) for path in known if path.startswith(f"{section}.")]
        assert len(set(titles)) == len(titles), section
    assert option_title("no.clip") == "Clip"


def test_a_listing_says_how_many_there_is_no_room_for():
    assert listing(["road", "sky"]) == "road, sky"
    assert listing([]) == ""
    assert listing(["a" * 40, "b" * 40, "c"]) == f"{'a' * 40} and 2 more"
    assert breakable("a/b_c").replace("\u200b", "|") == "a/|b_|c"


def test_counts_have_singular_and_plural():
    assert [plural(count, "image") for count in (1, 2, 100000)] == ["1 image", "2 images", "100,000 images"]
