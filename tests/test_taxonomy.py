import itertools
import json
import tracemalloc

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crots.class_maps import build_class_map, identity_map, load_class_map
from crots.errors import InputError
from crots.resources import resource_folder, shipped
from crots.taxonomy import (
    ClassSet,
    count_labels,
    load_class_set,
    look_up,
    make_palette,
    shipped_class_sets,
    unique_labels,
)

pytestmark = pytest.mark.safety


def written(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", shipped_class_sets())
def test_shipped_class_sets_load_and_survive_json(name):
    classes = load_class_set(name)
    assert classes.name == name
    assert len(set(classes.palette)) == len(classes) == len(classes.names)
    assert ClassSet.from_dict(json.loads(json.dumps(classes.to_dict()))) == classes


def test_resources_are_found():
    assert (resource_folder() / "classes" / "cityscapes.toml").is_file()
    assert "cityscapes-to-camvid" in shipped("class-maps")


def test_cityscapes_equals_the_official_table():
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    classes = load_class_set("cityscapes")
    for label in labels:
        if label.id < 0:
            continue
        assert classes.raw_ids[label.id] == label.trainId
        if label.trainId != 255:
            assert classes.names[label.trainId] == label.name
            assert classes.palette[label.trainId] == label.color


def test_gta5_has_the_ids_of_cityscapes_and_a_licence_plate():
    city, gta5 = load_class_set("cityscapes"), load_class_set("gta5")
    assert gta5.raw_ids == {**city.raw_ids, 34: 255}
    assert gta5.names == city.names


def test_synthia_ids():
    classes = load_class_set("synthia")
    named = {raw: classes.names[train] for raw, train in classes.raw_ids.items() if train != 255}
    assert named == {
        1: "sky", 2: "building", 3: "road", 4: "sidewalk", 5: "fence", 6: "vegetation", 7: "pole", 8: "car",
        9: "traffic sign", 10: "person", 11: "bicycle", 12: "motorcycle", 15: "traffic light", 16: "terrain",
        17: "rider", 18: "truck", 19: "bus", 20: "train", 21: "wall",
    }  # fmt: skip
    assert [raw for raw, train in classes.raw_ids.items() if train == 255] == [0, 13, 14, 22]


def test_published_rare_classes_and_subsets():
    city = load_class_set("cityscapes")
    assert city.published_rare == load_class_set("gta5").published_rare == (6, 7, 12, 16, 17, 18)
    assert load_class_set("synthia").published_rare == (6, 7, 12, 17, 18)
    assert set(city.names) - set(city.subsets["miou16"]) == {"terrain", "truck", "train"}
    assert set(city.subsets["miou16"]) - set(city.subsets["miou13"]) == {"wall", "fence", "pole"}
    assert load_class_set("cityscapes16").names == city.subsets["miou16"]
    assert load_class_set("cityscapes13").names == city.subsets["miou13"]
    assert load_class_set("cityscapes16").raw_ids[9 + 13] == 255, "terrain is ignored there"


def test_colours_of_labels():
    classes = load_class_set("camvid")
    picture = classes.colours(np.array([[0, 10], [255, 3]], np.uint8))
    assert picture.tolist() == [[[128, 128, 128], [0, 128, 192]], [[0, 0, 0], [128, 64, 128]]]
    assert classes.palette_array().shape == (256, 3)


def test_large_sets_ignore_65535():
    names = tuple(f"c{i}" for i in range(300))
    classes = ClassSet.from_dict({"name": "large", "names": names})
    assert classes.ignore == 65535
    assert classes.colours(np.array([[299, 65535]], np.uint16)).tolist()[0][1] == [0, 0, 0]
    assert identity_map(classes).remap(np.array([[299, 65535]], np.uint16)).tolist() == [[299, 65535]]
    assert ClassSet.from_dict({"name": "255", "names": names[:255]}).ignore == 255


def test_users_own_set(tmp_path):
    path = written(
        tmp_path,
        'classes = ["water", { name = "land", colour = [1, 2, 3], ids = [7, 9] }]\nignored_ids = [4]\n'
        "ignored_colours = [[9, 9, 9]]\n[subsets]\ndry = ['land']\n",
    )
    classes = load_class_set(path)
    assert (classes.name, classes.names, classes.palette[1]) == ("mine", ("water", "land"), (1, 2, 3))
    assert classes.raw_ids == {7: 1, 9: 1, 4: 255}
    assert classes.lists_all_raw_ids
    assert classes.subsets == {"dry": ("land",)}
    assert classes.ignored_colours == ((9, 9, 9),)


def test_other_names_are_of_the_file_alone(tmp_path):
    classes = load_class_set(written(tmp_path, "classes = ['a', 'b']\n[other_names]\nc = 'b'\nd = 'ignore'"))
    assert classes.other_names == {"c": 1, "d": 255}
    assert ClassSet.from_dict(classes.to_dict()) == classes


def test_void_ids_alone_keep_the_train_ids(tmp_path):
    assert load_class_set(written(tmp_path, "classes = ['a', 'b']\nignored_ids = [2]")).raw_ids == {0: 0, 1: 1, 2: 255}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("classes = [", "cannot be read as TOML"),
        ("classes = ['a']\n[other_names]\nb = 'c'", "other_names.b"),
        ("classes = ['a']\n[other_names]\nb = ['a']", "other_names.b"),
        ("classes = ['a']\nother_names = ['a']", "expected a table"),
        ("", "found 0 classes"),
        ("classes = ['a']", "found one class, a, expected 2 or more; add one for all other pixels"),
        ("klasses = ['a']", "did you mean classes"),
        ("classes = ['a', 'a']", "is listed twice"),
        ("classes = ['ignore']", "no class name"),
        ("classes = [3]", "expected a name"),
        ("classes = 'a'", "expected a list"),
        ("classes = [{ name = 'a', color = [1, 2, 3] }]", "did you mean colour"),
        ("classes = [{ name = 'a', colour = [1, 2] }]", "expected [red, green, blue]"),
        ("classes = [{ name = 'a', colour = [1, 2, 300] }]", "expected [red, green, blue]"),
        ("classes = [{ name = 'a', colour = [1, 1, 1] }, { name = 'b', colour = [1, 1, 1] }]", "is listed twice"),
        ("classes = [{ name = 'a', ids = [1] }, { name = 'b', ids = [1] }]", "is listed twice"),
        ("classes = [{ name = 'a', ids = [-1] }]", "whole number"),
        ("classes = ['road']\npublished_rare = ['raod']", "did you mean road"),
        ("classes = ['a']\n[subsets]\nx = ['b']", "unknown class"),
        ("classes = ['a']\nsubsets = 3", "expected a table"),
        ("classes = ['a']\n[subsets]\nx = 3", "expected a list of class names"),
    ],
)
def test_faulty_sets_are_explained(tmp_path, text, says):
    with pytest.raises(InputError) as error:
        load_class_set(written(tmp_path, text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_get_suggestions(tmp_path):
    with pytest.raises(InputError, match="did you mean cityscapes"):
        load_class_set("cityscape")
    with pytest.raises(InputError, match="no such file"):
        load_class_set(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="did you mean road"):
        load_class_set("camvid").index("roads")


@given(st.integers(1, 2000))
def test_made_up_colours_are_distinct_and_not_black(count):
    palette = make_palette(count, [(242, 36, 36)])
    assert len(set(palette)) == count
    assert not {(0, 0, 0), (242, 36, 36)} & set(palette)


def test_colours_that_are_made_up_one_by_one_are_told_apart():
    """Every second one was a dark blue, of which no eye sees the difference."""
    made = []
    for _ in range(30):
        made += make_palette(1, made)
    assert tuple(made) == make_palette(30)
    assert min(np.abs(np.subtract(one, other)).sum() for one, other in itertools.combinations(made, 2)) > 20


PLAIN = load_class_set("camvid").to_dict()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from([*PLAIN, "other"]), value=ANYTHING)
def test_a_class_set_of_unknown_origin_is_read_or_refused_by_its_key(key, value):
    try:
        found = ClassSet.from_dict({**PLAIN, key: value})
    except InputError as error:
        # Fewer names than colours are the palette's fault as much as theirs.
        assert (key in str(error) or (key == "names" and "palette" in str(error))) and len(str(error)) < 500
    else:
        assert ClassSet.from_dict(found.to_dict()) == found
        assert len(found.palette) == len(found) and found.palette_array().shape == (found.ignore + 1, 3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["name", "classes", "ignored_ids", "ignored_colours", "published_rare", "subsets", "x"]),
       value=ANYTHING)  # fmt: skip
def test_a_class_set_file_of_unknown_origin_is_read_or_refused_by_its_name(tmp_path, key, value):
    path = tmp_path / "c.toml"
    try:
        path.write_text(tomli_w.dumps({"classes": ["a", "b"], key: value}), encoding="utf-8")
    except (TypeError, ValueError, AttributeError, UnicodeError):
        return  # TOML has no such value
    try:
        load_class_set(path)
    except InputError as error:
        assert "c.toml" in str(error) and len(str(error)) < 600


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 3000 + "]" * 3000, "x = " + "9" * 5000, "x = '" + "y" * 9_000_000 + "'"]
)
def test_a_file_that_no_parser_should_be_given(tmp_path, text):
    (tmp_path / "c.toml").write_text(text)
    for read in (load_class_set, lambda path: load_class_map(path, None, load_class_set("camvid"))):
        with pytest.raises(InputError, match=r"c\.toml") as raised:
            read(tmp_path / "c.toml")
        assert len(str(raised.value)) < 400


def test_sixty_thousand_classes_can_be_handled(tmp_path):
    names = [f"class {number}" for number in range(60_000)]
    path = tmp_path / "many.toml"
    path.write_text(
        "published_rare = CLASSES\nclasses = CLASSES\n[subsets]\nall = CLASSES\n".replace("CLASSES", str(names))
    )
    many = load_class_set(path)
    build_class_map({name: name for name in names}, many, many, where="map")
    with pytest.raises(InputError, match=r"and 59800 more|did you mean") as raised:
        many.index("y" * 10**6)
    assert len(str(raised.value)) < 10_000


def test_a_table_is_looked_up_in_strips_as_at_once():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 300, (3000, 2000), dtype=np.uint16)
    table = rng.integers(0, 256, (300, 3), dtype=np.uint8)
    assert (look_up(table, labels) == table[labels]).all()
    assert (count_labels(labels) == np.bincount(labels.ravel())).all()
    assert count_labels(labels[:0]).size == 0


def test_looking_up_takes_little_memory():
    labels = np.zeros((6000, 5000), np.uint8)
    tracemalloc.start()
    look_up(np.arange(256, dtype=np.uint8), labels)
    unique_labels(labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # At once, indices of 8 bytes a pixel would take 240 MB.
    assert peak < 120 * 10**6


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".toml", "a/" + "x" * 5000, "a\x00b.toml"])
def test_names_that_no_file_can_have(name):
    for read in (load_class_set, lambda path: load_class_map(path, None, load_class_set("camvid"))):
        with pytest.raises(InputError, match="class"):
            read(name)


def test_a_folder_in_place_of_a_class_set_is_called_one(tmp_path):
    with pytest.raises(InputError, match="a folder; give a TOML file"):
        load_class_set(tmp_path)
