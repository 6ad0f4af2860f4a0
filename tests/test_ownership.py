import inspect
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.errors import InputError
from crots.files import is_partial
from crots.ownership import Owned, atomic_folder, is_below, is_link, remove_files, walk
from tests.saved import write

pytestmark = pytest.mark.safety

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")


def owned(tmp_path, *names, maker="mine"):
    root = tmp_path / "patches"
    found = Owned(root, tmp_path / "records" / "mine.files", maker)
    for name in names:
        write(root / name)
    if names:
        found.claim(names)
    return found


def test_what_is_claimed_is_ours_and_the_rest_foreign(tmp_path):
    files = owned(tmp_path, "labels/a.png", "index.json")
    write(files.root / "labels" / "b.png")
    assert files.names() == {"labels/a.png", "index.json"}
    assert files.foreign() == ["labels/b.png"]


def test_only_the_first_foreign_files_are_named_in_order(tmp_path):
    files = owned(tmp_path)
    for name in "dbeca":
        write(files.root / name)
    assert files.foreign() == ["a", "b", "c"]
    assert files.foreign(most=1) == ["a"]


def test_partials_clutter_and_the_listing_itself_are_not_foreign(tmp_path):
    files = Owned(tmp_path, tmp_path / ".crots-files", "crots predict")
    for name in (".0123abcd.partial.png", "sub/.0123abcd.partial", "sub/.DS_Store", "Thumbs.db", "mine"):
        write(tmp_path / name)
    files.claim(["mine"])
    assert files.foreign() == []
    write(tmp_path / "sub" / ".crots-files")
    assert files.foreign() == ["sub/.crots-files"]


def test_an_empty_folder_has_no_own_or_foreign_files(tmp_path):
    files = owned(tmp_path)
    assert files.names() == frozenset()
    assert files.foreign() == []
    files.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_another_maker_are_foreign(tmp_path):
    owned(tmp_path, "a", maker="crots predict")
    files = owned(tmp_path, maker="crots mine")
    assert files.names() == frozenset()
    assert files.foreign() == ["a"]


def test_removing_deletes_what_is_listed_and_the_folders_that_became_empty(tmp_path):
    files = owned(tmp_path, "deep/er/a", "deep/er/b", "deep/c", "d", "shared/e")
    write(files.root / "shared" / "of the user")
    (files.root / "empty folder of the user").mkdir()
    files.remove()
    assert sorted(path.name for path in files.root.rglob("*")) == ["empty folder of the user", "of the user", "shared"]
    assert not files.listing.exists()
    files.remove()


def test_a_folder_in_the_place_of_a_listed_file_stays(tmp_path):
    files = owned(tmp_path, "a")
    (files.root / "a").unlink()
    write(files.root / "a" / "of the user")
    assert files.foreign() == ["a/of the user"]
    files.remove()
    assert (files.root / "a" / "of the user").exists()


def test_what_others_write_as_a_folder_is_theirs(tmp_path):
    files = owned(tmp_path, "model/a", "model/b/c", "model.onnx")
    files.disown([files.root / "model"])
    assert files.names() == {"model.onnx"}


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path):
    with atomic_folder(tmp_path / "deep" / "out") as partial:
        write(partial / "a", "1")
        assert not (tmp_path / "deep" / "out").exists()
    with atomic_folder(tmp_path / "deep" / "out") as partial:
        write(partial / "a", "2")
        write(partial / "b", "2")
    assert {path.name: path.read_text() for path in (tmp_path / "deep" / "out").iterdir()} == {"a": "2", "b": "2"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_failed_folder_leaves_nothing_and_the_older_one_stays(tmp_path):
    write(tmp_path / "out" / "a", "1")

    def fail():
        with atomic_folder(tmp_path / "out") as partial:
            write(partial / "a", "2")
            raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        fail()
    assert (tmp_path / "out" / "a").read_text() == "1" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["file", "other", "below", "empty", pytest.param("link", marks=POSIX)])
def test_a_folder_replaces_nothing_but_its_own_kind(tmp_path, kind):
    place = tmp_path / "out"
    if kind == "file":
        write(place)
    elif kind == "link":
        write(tmp_path / "elsewhere" / "a")
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "empty":
        (place / "a").mkdir(parents=True)
    else:
        write(place / {"other": "b", "below": "a/b"}[kind])
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"out: (is|exists and contains)"), atomic_folder(place) as partial:
        write(partial / "a", "new")
    assert sorted(path for path in tmp_path.rglob("*")) == before


@POSIX
def test_nothing_is_deleted_through_a_link(tmp_path):
    files = owned(tmp_path, "labels/a.png", "b.png")
    outside = write(tmp_path / "outside" / "a.png")
    (files.root / "labels" / "a.png").unlink()
    (files.root / "labels").rmdir()
    (files.root / "labels").symlink_to(outside.parent)
    (files.root / "b.png").unlink()
    (files.root / "b.png").symlink_to(outside)
    assert files.foreign() == ["b.png", "labels"]
    files.remove()
    assert outside.read_text() == "x"
    assert (files.root / "labels").is_symlink()
    assert (files.root / "b.png").is_symlink()


@POSIX
def test_a_root_that_is_a_link_is_refused(tmp_path):
    files = owned(tmp_path, "a")
    files.root.rename(tmp_path / "elsewhere")
    files.root.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="patches: is a link, expected a folder"):
        files.remove()
    with pytest.raises(InputError, match="is a link"):
        files.foreign()
    assert (tmp_path / "elsewhere" / "a").exists()


@POSIX
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_listing_that_is_no_file_is_refused(tmp_path, kind):
    files = owned(tmp_path, "a")
    files.listing.rename(tmp_path / "elsewhere")
    if kind == "link":
        files.listing.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(files.listing)
    else:
        files.listing.mkdir()
    with pytest.raises(InputError, match=rf"mine\.files: is a {kind}, expected a file; delete it"):
        files.names()


WRONG = ("/etc/passwd", "../a", "a/../../b", "a//b", "a/", "./a", "", ".", "..", "C:/a", "c:\\a", "a\0b")


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_leads_elsewhere_is_neither_noted_nor_read(tmp_path, name):
    import json

    files = owned(tmp_path, "a")
    with pytest.raises(InputError, match="nothing was recorded"):
        files.claim(["b", name])
    assert files.names() == {"a"}
    with files.listing.open("a") as file:
        file.write(json.dumps(name) + "\n")
    with pytest.raises(InputError, match=r"mine\.files, line 3: found .*; delete it, and move the files"):
        files.remove()
    assert (files.root / "a").exists()


@pytest.mark.parametrize("line", ["", "a", '"a', "7", "null", '["a"]', "[" * 100_000, "\x1b[31m"])
def test_a_damaged_line_is_refused_in_one_line(tmp_path, line):
    files = owned(tmp_path, "a")
    with files.listing.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match="line 3") as error:
        files.names()
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400 + len(str(files.listing))


def test_a_listing_that_is_not_text_is_refused(tmp_path):
    files = owned(tmp_path, "a")
    files.listing.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        files.names()


@POSIX
def test_odd_names_survive(tmp_path):
    odd = ["new\nline", "tab\t", "\udcff", "ü/ö", '"quoted"', "back\\slash", "\u2028", "12:30.png"]
    files = owned(tmp_path, *odd)
    assert files.names() == set(odd)
    assert files.foreign() == []
    files.remove()
    assert list(files.root.iterdir()) == []


parts = st.sampled_from(["a", "b", "..", ".", "", "/", "link", "C:", "\\"])
names = st.lists(parts, min_size=1, max_size=5).map("/".join)


@POSIX
@given(
    made=st.lists(names.filter(is_below), max_size=6),
    users=st.lists(names.filter(is_below), max_size=6),
    listed=st.lists(names, max_size=8),
)
def test_whatever_is_listed_nothing_outside_is_touched(tmp_path_factory, made, users, listed):
    base = tmp_path_factory.mktemp("tree")
    root, outside = base / "root", base / "outside"
    for folder in (root, outside):
        folder.mkdir()
    for name in ("a", "b", "deep/a"):
        write(outside / name)
    (root / "link").symlink_to(outside)
    for name in [*made, *users]:
        if not name.startswith("link"):
            try:
                write(root / name)
            except OSError:
                continue
    before = {name for name, _ in walk(root)}
    remove_files(root, [name for name in listed if is_below(name)])
    assert {name for name, _ in walk(root)} >= before - set(listed)
    assert sorted(name for name, _ in walk(outside)) == ["a", "b", "deep/a"]
    assert is_link(root / "link")


@given(st.text(max_size=30))
def test_a_name_below_stays_below(text):
    if is_below(text):
        joined = os.path.normpath(os.path.join("/root", text))  # noqa: PTH118
        assert joined.startswith("/root/")


def test_a_partial_is_known_by_its_name():
    assert is_partial(".0123abcd.partial.png")
    assert not is_partial("0123abcd.partial.png")
    assert not is_partial(".partial.png")


def test_folders_however_deep_are_walked(tmp_path):
    folder = tmp_path
    for _ in range(40):
        folder = folder / ("d" * 30)
    deep = write(folder / "a")
    (name,) = [name for name, _ in walk(tmp_path)]
    assert tmp_path / name == deep
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 35)
    try:
        assert [name for name, _ in walk(tmp_path)] == [name]
    finally:
        sys.setrecursionlimit(limit)


def test_a_folder_that_cannot_be_searched_is_reported(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(folder):
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed: cannot be read \(Permission denied\); change its permissions"):
        list(walk(tmp_path))
