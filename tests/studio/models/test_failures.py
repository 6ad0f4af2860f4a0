"""Advice after a failure: every remedy is a valid configuration that needs less memory."""

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.data.datasets import Dataset
from crots.errors import InputError
from crots.events import StageFinished
from crots.project_config import build_config, override
from crots.runner import failure
from crots.stages.pseudo_label import unreadable
from crots_studio.models.failures import advise, memory_remedies, report_text


def failed(message, **more):
    return StageFinished(stage="adapt-1", outcome="failed", seconds=1, message=message, **more)


@given(st.integers(1, 24), st.integers(1, 24))
def test_remedies_for_memory_can_be_applied_and_help(batch, parts):
    accumulate = next(number for number in range(min(parts, batch), 0, -1) if batch % number == 0)
    config = build_config({"adapt": {"batch": batch, "accumulate": accumulate}})
    for remedy in memory_remedies("adapt-1", config):
        new = override(config, remedy.settings).adapt
        assert new.batch % new.accumulate == 0
        assert new.batch // new.accumulate < batch // accumulate or new.batch < batch


def test_out_of_memory_offers_accumulation_first():
    config = build_config({"adapt": {"batch": 4}, "data": {"size": "1024x512"}})
    advice = advise(failure(MemoryError(), "adapt-1", 1.0), config)
    assert advice.heading == "Round 1 ran out of memory"
    assert [remedy.settings for remedy in advice.remedies] == [
        {"adapt.accumulate": "2"},
        {"adapt.batch": "2", "adapt.accumulate": "2"},
        {"data.size": "768x384"},
    ]


def test_a_killed_process_is_not_reported_as_a_bug():
    config = build_config({})
    advice = advise(failed("its process was killed (SIGKILL)", exit_code=-1, detail="log"), config)
    assert advice.heading == "Round 1 was killed" and advice.remedies
    assert "bug in CROTS" not in advice.todo and "resume from the last checkpoint" in advice.todo
    nothing = StageFinished(stage="", outcome="failed", seconds=1, message="gone", exit_code=-1)
    assert advise(nothing, config).heading == "The run was killed"
    assert advise(nothing, config, estimate=True).heading == "The estimate was killed"


def test_bad_images_can_be_left_out_with_a_click():
    images = Dataset(Path("photos"), "custom", "", ())
    with pytest.raises(InputError) as caught:
        unreadable({"a.png": "broken or truncated image"}, images, skip_bad=False)
    advice = advise(failure(caught.value, "adapt-1", 1.0), build_config({}))
    assert [dict(remedy.settings) for remedy in advice.remedies] == [{"data.skip_bad": "true"}]
    assert (
        "--" not in advice.message and not advise(failed("the folder is empty", exit_code=2), build_config({})).remedies
    )


def test_the_least_time_budget_can_be_taken_with_a_click():
    error = InputError("however it is worded", settings={"runtime.time_budget": "1h7m"})
    advice = advise(failure(error, "adapt-1", 1.0), build_config({}))
    assert [dict(remedy.settings) for remedy in advice.remedies] == [{"runtime.time_budget": "1h7m"}]
    assert advice.remedies[0].label == "a time budget of 1h7m"


def test_memory_is_what_the_error_says_and_not_the_words_of_the_message():
    config = build_config({"adapt": {"batch": 4}})
    for error in (MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory"), ImportError("failed to map segment")):
        assert advise(failure(error, "adapt-1", 1.0), config).heading == "Round 1 ran out of memory", error
    named = failed("a folder of the name 'out of memory' is gone", exit_code=2)
    assert advise(named, config).heading == "Round 1 cannot continue"


def test_stages_without_steps_offer_a_smaller_batch():
    config = build_config({"pseudo_label": {"batch": 8}})
    (remedy,) = memory_remedies("pseudo-label", config)
    assert remedy.settings == {"pseudo_label.batch": "4"}


def test_a_mistake_of_the_user_has_no_traceback_and_a_bug_has():
    config = build_config({})
    assert advise(failed("the folder is empty", exit_code=2), config).message == "The folder is empty."
    fault = advise(failed("unexpected KeyError: 'x'", exit_code=1, detail="Traceback ..."), config)
    assert "bug in CROTS" in fault.todo and fault.detail
    text = report_text(fault, [f"line {number}" for number in range(100)], "CROTS 0.1")
    assert "Traceback" in text and "line 99" in text and "line 3\n" not in text and "CROTS 0.1" in text
