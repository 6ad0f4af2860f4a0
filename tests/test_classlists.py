"""Class lists as data sets and tools write them, whatever the line ends, marks and columns."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.errors import InputError
from crots.taxonomy import load_class_set

pytestmark = pytest.mark.safety

NAMES = ["road", "Straße", "traffic light", "car"]
COLOURS = [[128, 64, 128], [244, 35, 232], [250, 170, 30], [0, 0, 142]]


def table(mark, head, rows):
    return "\n".join(mark.join(map(str, row)) for row in [head, *rows])


def coloured(mark=","):
    return table(mark, ["name", "r", "g", "b"], [[name, *colour] for name, colour in zip(NAMES, COLOURS, strict=True)])


NUMBERED = {str(place): name for place, name in enumerate(NAMES)}
# A file's name and what it holds: the names alone, counted from 0.
PLAIN = {
    "a.txt": "\n".join(NAMES),
    "a.names": "\n".join(NAMES),
    "numbered.txt": "\n".join(f"{place} {name}" for place, name in enumerate(NAMES)),
    "colons.txt": "\n".join(f"{place}: {name}" for place, name in enumerate(NAMES)),
    "tabs.txt": "\n".join(f"{place}\t{name}" for place, name in enumerate(NAMES)),
    "labelme.txt": "\n".join(["__ignore__", *NAMES]),
    "a.json": json.dumps(NAMES),
    "id2label.json": json.dumps({"id2label": NUMBERED, "model_type": "x", "labels": None}),
    "numbers.json": json.dumps(NUMBERED),
    "label2id.json": json.dumps({name: place for place, name in enumerate(NAMES)}),
    "a.yaml": "path: ../x\nnames:\n" + "\n".join(f"  {place}: {name}" for place, name in enumerate(NAMES)) + "\nnc: 4",
    "b.yml": "names: [" + ", ".join(f"'{name}'" for name in NAMES) + "]\n",
    "c.yaml": "names:\n" + "\n".join(f"- {name}  # what" for name in NAMES),
    "ids.csv": table(",", ["id", "name"], [[place, name] for place, name in enumerate(NAMES)]),
}
COLOURED = {
    "class_dict.csv": coloured(),
    "semicolons.csv": coloured(";"),
    "tabs.tsv": coloured("\t"),
    "labelmap.txt": "# label:color_rgb:parts:actions\n"
    + "\n".join(f"{name}:{','.join(map(str, colour))}::" for name, colour in zip(NAMES, COLOURS, strict=True)),
    "label_colors.txt": "\n".join(
        " ".join(map(str, colour)) + f" {name}" for name, colour in zip(NAMES, COLOURS, strict=True)
    ),
    "config.json": json.dumps(
        {"labels": [{"name": "x--" + name, "readable": name, "color": colour} for name, colour in
                    zip(NAMES, COLOURS, strict=True)]}
    ),
    "colormap.txt": "\n".join(
        f"{place} {name} " + " ".join(map(str, COLOURS[place])) for place, name in enumerate(NAMES)
    ),
    "class_list.json": json.dumps(
        {"#{:02x}{:02x}{:02x}".format(*colour): name for name, colour in zip(NAMES, COLOURS, strict=True)}
    ),
    "hex.json": json.dumps(
        [{"name": name, "color": "#{:02x}{:02X}{:02x}".format(*colour)} for name, colour in
         zip(NAMES, COLOURS, strict=True)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
@pytest.mark.parametrize("name", [*PLAIN, *COLOURED])
@pytest.mark.parametrize("upper", [False, True])
def test_every_form(tmp_path, name, ends, mark, upper):
    path = tmp_path / (name.upper() if upper else name)
    path.write_bytes(mark + {**PLAIN, **COLOURED}[name].replace("\n", ends).encode())
    found = load_class_set(path)
    assert list(found.names) == NAMES and not found.raw_ids
    if name in COLOURED:
        assert [list(colour) for colour in found.palette] == COLOURS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "1 road\n5 car\n9 sky"),
        ("a.csv", "value,label\n1,road\n5,car\n9,sky"),
        ("a.json", '{"categories": [{"id": 9, "name": "sky"}, {"id": 1, "name": "road"}, {"id": 5, "name": "car"}]}'),
        ("b.json", '{"sky": 9, "road": 1, "car": 5}'),
    ],
)
def test_numbers_that_do_not_count_from_zero_are_the_files_own_ids(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = load_class_set(tmp_path / name)
    assert {found.names[train]: raw for raw, train in found.raw_ids.items()} == {"road": 1, "car": 5, "sky": 9}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "10 ten\n0 none\n2 two"),
        ("a.csv", "id,name\n10,ten\n0,none\n2,two"),
        ("a.json", '[{"id": 10, "name": "ten"}, {"id": 0, "name": "none"}, {"id": 2, "name": "two"}]'),
        ("a.yaml", "names:\n  10: ten\n  0: none\n  2: two"),
    ],
)
def test_classes_are_in_the_order_of_their_numbers(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    found = load_class_set(tmp_path / name)
    assert found.names == ("none", "two", "ten") and found.raw_ids == {0: 0, 2: 1, 10: 2}


def test_what_is_ignored_keeps_its_place(tmp_path):
    (tmp_path / "label_colors.txt").write_text("64 0 64 Tunnel\n9 9 9 Void\n64 192 0 Wall\n")
    found = load_class_set(tmp_path / "label_colors.txt")
    assert found.names == ("Tunnel", "Wall")
    assert found.raw_ids == {0: 0, 1: 255, 2: 1} and found.ignored_colours == ((9, 9, 9),)


def test_words_and_colours_that_stand_twice(tmp_path):
    rows = [
        {"name": "light--upright", "readable": "Light", "color": [1, 1, 1]},
        {"name": "light--single", "readable": "Light", "color": [1, 1, 1]},
        {"name": "wall", "readable": "Wall", "color": [2, 2, 2]},
    ]
    (tmp_path / "config.json").write_text(json.dumps({"labels": rows}))
    found = load_class_set(tmp_path / "config.json")
    assert found.names == ("light--upright", "light--single", "wall")
    assert found.palette[2] == (2, 2, 2) and (1, 1, 1) not in found.palette


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", ""),
        ("a.txt", "aachen_000000_000019\naachen_000001_000019"),
        ("a.txt", "images/a.png labels/a.png"),
        ("a.txt", "<html><body>404</body></html>"),
        ("a.txt", "0.5 0.1 0.2 road"),
        ("a.txt", "road\n1 car"),
        ("a.csv", "road,car\n1,2"),
        ("a.csv", "name,r,g,b\nroad,1,2"),
        ("a.json", "[1, 2]"),
        ("a.json", '{"a": {"b": 1}}'),
        ("a.json", "{"),
        ("a.yaml", "a: b"),
        ("a.yaml", "names: {a: b}"),
    ],
)
def test_other_files_are_no_class_lists(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"found no classes, expected one name per line.*or write a TOML file"):
        load_class_set(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
@pytest.mark.parametrize("name", ["a.txt", "a.toml", "a.csv"])
def test_other_encodings_are_reported(tmp_path, name, encoding):
    (tmp_path / name).write_bytes('Straße = "ü"\n'.encode(encoding))
    with pytest.raises(InputError, match="not UTF-8 text; save it as UTF-8"):
        load_class_set(tmp_path / name)


def test_colours_of_toml_as_hex(tmp_path):
    (tmp_path / "a.toml").write_text('classes = [{name = "road", colour = "#804080"}, "car"]')
    assert load_class_set(tmp_path / "a.toml").palette[0] == (128, 64, 128)
    (tmp_path / "a.toml").write_text('classes = [{name = "road", colour = "red"}, "car"]')
    with pytest.raises(InputError, match="found the colour 'red', expected"):
        load_class_set(tmp_path / "a.toml")


@given(text=st.text(max_size=200), suffix=st.sampled_from([".txt", ".csv", ".tsv", ".json", ".yaml", ".names"]))
def test_any_text_is_a_class_set_or_an_error_of_one_line(tmp_path_factory, text, suffix):
    path = tmp_path_factory.mktemp("lists") / f"a{suffix}"
    path.write_bytes(text.encode(errors="replace"))
    try:
        assert len(load_class_set(path)) >= 1
    except InputError as error:
        assert "\n" not in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.text(max_size=4) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "id", "labels", "categories", "color", "0", "1", "x"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_class_set_or_an_error_of_one_line(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("lists") / "a.json"
    path.write_text(json.dumps(value))
    try:
        assert len(load_class_set(path)) >= 1
    except InputError as error:
        assert "\n" not in str(error)
