"""The set-up page's model: which checks are due, and what keeps Run from starting."""

from crots.project_config import ProjectConfig, override
from crots_studio.models.project_form import DEPENDS, Finding, ProjectForm, worst
from crots_studio.models.words import net_title

CONFIG = ProjectConfig()


def all_good(form):
    for name in DEPENDS:
        form.found(name, Finding("good", "fine"))


def test_everything_is_due_at_first_and_nothing_afterwards():
    form = ProjectForm()
    assert set(form.due(CONFIG)) == set(DEPENDS)
    assert form.due(CONFIG) == []


def test_a_change_calls_for_what_depends_on_it_only():
    form = ProjectForm()
    form.due(CONFIG)
    assert set(form.due(override(CONFIG, {"data.target": "/x"}))) == {
        "data.target", "data.size", "task.classes", "source", "student", "validation",
    }  # fmt: skip
    form.due(CONFIG)
    assert form.due(override(CONFIG, {"adapt.steps": 5})) == []


def test_a_file_that_changed_can_be_checked_again():
    form = ProjectForm()
    form.due(CONFIG)
    form.forget("task.class_map")
    assert form.due(CONFIG) == ["task.class_map"]


def test_the_blocker_names_the_first_thing_to_fix():
    form = ProjectForm()
    assert form.blocker == "checking the project ..."
    form.due(CONFIG)
    assert form.blocker == "checking the project ..."
    all_good(form)
    assert form.blocker == ""
    form.found("student", Finding("bad", "no weights"))
    form.found("data.target", Finding("empty", ""))
    assert form.blocker == "choose the target images in Set-up"
    form.found("data.target", Finding("warning", "one is broken"))
    assert form.blocker == "Student: no weights"


def test_validation_may_stay_empty():
    form = ProjectForm()
    form.due(CONFIG)
    all_good(form)
    form.found("validation", Finding("empty", "optional"))
    assert form.blocker == ""


def test_the_worst_level():
    assert worst({"a": Finding("good", ""), "b": Finding("warning", ""), "c": Finding("bad", "")}) == "bad"
    assert worst({}) == "empty"


def test_a_few_words_name_the_file_and_not_its_whole_path(tmp_path):
    """The rail is narrow: the path alone would fill it."""
    found = Finding("bad", f"{tmp_path / 'a.png'}: cannot be read; copy it again")
    assert found.short == "a.png: cannot be read; copy it again"
    assert Finding("bad", "Source: nothing").short == "Source: nothing"
    assert net_title(f"hf:{tmp_path / 'my-segformer'}") == "my-segformer"
    assert net_title("smp:unet/resnet34") == "smp:unet/resnet34"
