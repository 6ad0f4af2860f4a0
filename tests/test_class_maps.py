import re

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crots.class_maps import (
    build_class_map,
    class_map_source,
    class_map_target,
    identity_map,
    load_class_map,
    propose_class_map,
)
from crots.errors import InputError
from crots.taxonomy import ClassSet, load_class_set

pytestmark = pytest.mark.safety


def written(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_cityscapes_to_camvid_is_the_documented_table():
    mapping = load_class_map("cityscapes-to-camvid", None, load_class_set("camvid"))
    assert mapping.source.name == "cityscapes"
    assert mapping.table.tolist() == [3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10]


def test_remap_and_matrix_agree(tmp_path):
    source = ClassSet.from_dict({"name": "s", "names": ["a", "b b", "c"]})
    target = ClassSet.from_dict({"name": "t", "names": ["x", "y"]})
    path = written(tmp_path, 'a = "y"\n"b b" = "ignore"\nc = "y"\n')
    mapping = load_class_map(path, source, target)
    assert mapping.remap(np.array([[0, 1, 2, 255]], np.uint8)).tolist() == [[1, 255, 1, 255]]
    assert mapping.matrix().tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert mapping.names() == {"a": "y", "b b": "ignore", "c": "y"}
    assert build_class_map(mapping.names(), source, target, where="x").table.tolist() == mapping.table.tolist()


def test_remap_refuses_foreign_ids():
    with pytest.raises(InputError, match=r"class ids 11, 40, expected 0 to 10 or 255"):
        identity_map(load_class_set("camvid")).remap(np.array([[11, 0, 40]], np.uint8))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('a = "x"', "no line for b"),
        ('a = "x"\nb = "z"', "unknown class of the target set t 'z'"),
        ('a = "x"\nb = "y"\nd = "x"', "unknown class of the source set s 'd'"),
        ('a = "x"\nb = 3', "unknown class of the target set"),
        ('a = "ignore"\nb = "ignore"', "ignores every class of s, so that nothing would be labelled"),
    ],
)
def test_faulty_maps_are_explained(tmp_path, text, says):
    source = ClassSet.from_dict({"name": "s", "names": ["a", "b"]})
    target = ClassSet.from_dict({"name": "t", "names": ["x", "y"]})
    with pytest.raises(InputError, match=says):
        load_class_map(written(tmp_path, text), source, target)


def test_target_classes_that_nothing_is_mapped_to():
    source = ClassSet.from_dict({"name": "s", "names": ["a", "b"]})
    target = ClassSet.from_dict({"name": "t", "names": ["x", "y", "z"]})
    assert build_class_map({"a": "y", "b": "ignore"}, source, target, where="map").unreached == ("x", "z")
    assert identity_map(target).unreached == ()


def test_a_map_without_source_set_needs_one(tmp_path):
    with pytest.raises(InputError, match="names no source class set"):
        load_class_map(written(tmp_path, 'a = "x"'), None, load_class_set("camvid"))


# Neither a class set that is shipped nor a file; the user gave the map, and may not know of the set that it names.
@given(st.integers(-9, 9) | st.booleans() | st.lists(st.text(max_size=3), max_size=2) | st.text("xyz/.", max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("key", ["source", "target"])
def test_a_map_that_names_no_class_set_is_named_itself(tmp_path, key, value):
    path = written(tmp_path, tomli_w.dumps({key: value, "a": "x"}))
    with pytest.raises(InputError, match=f"^class map {re.escape(str(path))}: {key}"):
        (class_map_source if key == "source" else class_map_target)(path)


def test_proposals():
    proposal = propose_class_map(load_class_set("cityscapes"), load_class_set("camvid"))
    assert proposal["road"] == "road"
    assert proposal["traffic sign"] == "sign"
    assert proposal["train"] == "ignore"
    city = load_class_set("cityscapes")
    assert propose_class_map(city, city) == {name: name for name in city.names}
    made = ClassSet.from_dict({"name": "m", "names": ["Traffic_Light", "side-walk"]})
    assert propose_class_map(made, city) == {"Traffic_Light": "traffic light", "side-walk": "sidewalk"}
