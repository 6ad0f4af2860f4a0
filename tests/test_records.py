"""Files that may be damaged or a stranger's: what is read is of the expected form, anything else one line."""

import contextlib
import errno
import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.data.lists import list_stems
from crots.errors import InputError
from crots.files import listing_digest
from crots.images import image_size
from crots.records import Count, Digits, Key, fits, is_plain, is_safe_key, parse, read_as, read_object, read_toml

pytestmark = pytest.mark.safety

PIECES = st.sampled_from(["..", ".", "", "a", "b c", "/", "\\", "C:", "~", "\0", "\ud800", "ü", "/etc"])
KEYS = st.lists(PIECES).map("".join) | st.lists(PIECES).map("/".join) | st.text()


class Shape(TypedDict):
    name: Key
    pixels: dict[Digits, Count]
    score: float | None
    box: tuple[Count, Count]
    kind: NotRequired[Literal["a", "b"]]


SOUND = {"name": "x/y", "pixels": {"3": 4}, "score": 0.5, "box": [1, 2]}


@given(KEYS, st.booleans())
def test_a_safe_key_stays_in_its_folder(key, windows):
    if not is_safe_key(key, windows=windows):
        return
    pure = PureWindowsPath if windows else PurePosixPath
    base = pure("C:/base" if windows else "/base")
    joined = base / f"{key}.png"
    assert joined.is_relative_to(base) and joined != base and ".." not in joined.parts
    assert joined.as_posix() == f"{base.as_posix()}/{key}.png".replace("\\", "/" if windows else "\\")
    f"{joined}".encode()


@pytest.mark.parametrize("key", ["a", "aachen/a_01", "..a/b..", "a b", "ü", "a.b"])
def test_keys_of_ordinary_data_sets_are_safe(key):
    assert is_safe_key(key) and is_safe_key(key, windows=True)


@pytest.mark.parametrize("key", ["", "..", "../a", "a/../b", "/a", "a//b", "a/", "./a", "a\0", 3, None])
def test_keys_that_leave_their_folder_are_not(key):
    assert not is_safe_key(key, windows=False)


@pytest.mark.parametrize("key", ["C:a", "C:/a", "a\\..\\..\\b", "\\\\host\\x", "a:b"])
def test_what_windows_alone_takes_for_a_way_out(key):
    assert not is_safe_key(key, windows=True)


def test_a_valid_object_is_read_whatever_else_it_holds(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("\ufeff" + str({**SOUND, "more": [1]}).replace("'", '"'), encoding="utf-8")
    assert read_as(path, Shape) == {**SOUND, "more": [1]}
    assert read_as(tmp_path / "none.json", Shape) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "../x"), ("name", 3), ("pixels", []), ("pixels", {"a": 1}), ("pixels", {"1": -1}),
        ("pixels", {"1": True}),
        ("score", "1"), ("score", float("nan")), ("score", 10**400), ("box", [1]), ("box", [1, 2.0]), ("kind", "c"),
    ],
)  # fmt: skip
def test_the_field_that_does_not_fit_is_named(tmp_path, name, value):
    assert not fits({**SOUND, name: value}, Shape)
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**SOUND, name: value}))
    with pytest.raises(InputError, match=rf"x\.json: is damaged \({name} .*; run it again"):
        read_as(path, Shape, remedy="run it again")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200, b"9" * 5000]
)
def test_damaged_text_is_one_line(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json: is damaged"):
        read_object(path)


@given(st.binary() | st.text().map(str.encode))
def test_reading_json_raises_nothing_but_a_value_error(content):
    with contextlib.suppress(ValueError):
        parse(content)


def test_no_more_json_is_read_than_allowed():
    assert parse(b"[1, 2]", most=6) == [1, 2]
    with pytest.raises(ValueError, match="6 characters, expected at most 5"):
        parse(b"[1, 2]", most=5)


def test_a_folder_or_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(InputError, match="found a folder, expected a file; mend it"):
        read_object(tmp_path / "x.json", remedy="mend it")
    (tmp_path / "y.json").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="broken link"):
        read_object(tmp_path / "y.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_reading_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    for read in (read_object, is_plain, read_toml):
        with pytest.raises(InputError, match="not a regular file"):
            read(tmp_path / "x.json")


def test_toml_with_a_byte_order_mark_is_read_and_other_text_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1\n", encoding="utf-8-sig")
    assert read_toml(path) == {"a": 1}
    path.write_text("a = 1\n", encoding="utf-16")
    with pytest.raises(InputError, match="save it as UTF-8"):
        read_toml(path)
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(InputError, match="cannot be read as TOML"):
        read_toml(path)


def test_links_to_nothing_and_in_a_circle_do_not_count_in_a_listing(tmp_path):
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"1")
    before = listing_digest(folder)
    (folder / "b.png").symlink_to(tmp_path / "gone")
    (folder / "c.png").symlink_to("c.png")
    (folder / "deep" / "again").symlink_to(folder, target_is_directory=True)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "d.png")
    assert listing_digest(folder) == before
    (folder / "a.png").write_bytes(b"12")
    assert listing_digest(folder) != before


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"Permission denied.*change its permissions"):
        listing_digest(Path(tmp_path))


@pytest.mark.parametrize(
    ("read", "place"),
    [(read_object, "pathlib.Path.read_bytes"), (read_toml, "pathlib.Path.read_bytes"),
     (list_stems, "pathlib.Path.read_bytes"), (is_plain, "pathlib.Path.stat"),
     (image_size, "crots.image_formats._identified")],
)  # fmt: skip
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_file_without_permission_is_to_be_permitted_and_not_deleted_or_replaced(
    tmp_path, monkeypatch, read, place, number
):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")

    def refuse(*_args, **_more):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patched, pytest.raises(InputError, match=r"cannot be read \(.*\); \w") as raised:
        patched.setattr(place, refuse)
        read(path)
    wrong = [word for word in ("delete", "replace", "choose", "give") if word in str(raised.value)]
    assert ("change its permissions" in str(raised.value)) == (number == errno.EACCES) == (not wrong)
