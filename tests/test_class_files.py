"""Classes that a source's file names, written as a file of the project: the very same are read, nothing is replaced."""

import pytest

from crots.class_files import class_set_text, keep_class_set
from crots.taxonomy import ClassSet, load_class_set, shipped_class_sets


@pytest.mark.parametrize("name", shipped_class_sets())
def test_every_shipped_class_set_survives_the_round_trip(name, tmp_path):
    classes = load_class_set(name)
    (tmp_path / "own.toml").write_text(class_set_text(classes), "utf-8")
    again = load_class_set(tmp_path / "own.toml")
    assert again == classes
    assert (again.also_train_ids, again.other_names) == (classes.also_train_ids, classes.other_names)


def test_nothing_that_lies_there_is_replaced_and_the_same_is_not_written_twice(tmp_path):
    first = ClassSet("../sly name", ("a", "b"), ((1, 2, 3), (4, 5, 6)))
    other = ClassSet("../sly name", ("a", "c"), ((1, 2, 3), (4, 5, 6)))
    names = [keep_class_set(tmp_path, one) for one in (first, first, other)]
    assert names == ["classes-sly-name.toml", "classes-sly-name.toml", "classes-sly-name-2.toml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(set(names))
    assert load_class_set(tmp_path / names[0]).names == first.names
    (tmp_path / "classes-link.toml").symlink_to(tmp_path / "nowhere")
    assert keep_class_set(tmp_path, ClassSet("link", ("a",), ((1, 2, 3),))) == "classes-link-2.toml"
