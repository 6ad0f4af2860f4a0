"""Folders, listings and journals that a stranger made: nothing is done outside, endlessly, or too deep."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from crots.cli.terminal import typed
from crots.data.folder_listing import list_files
from crots.errors import InputError
from crots.files import files_below, listing_digest, write_json
from crots.nets import claims
from crots.ownership import Owned, move_files, remove_files
from crots.project import Project
from crots.project_config import ProjectConfig
from crots.records import read_object, read_toml
from crots.report.markup import tag

pytestmark = pytest.mark.safety


@pytest.fixture
def outside(tmp_path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "own.png").write_bytes(b"mine")
    return folder


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("no links here")


def test_unfinished_work_with_a_link_in_it_is_begun_again(tmp_path, outside):
    project = Project.create(tmp_path / "p", ProjectConfig())
    assert not project.begin("mine")
    assert project.begin("mine")
    work = project.work_folder("mine")
    work.mkdir(parents=True, exist_ok=True)
    link(work / "labels", outside)
    assert not project.begin("mine")
    assert not (work / "labels").exists()
    assert (outside / "own.png").read_bytes() == b"mine"


def test_a_journal_takes_nothing_from_what_a_link_leads_to(tmp_path, outside):
    project = Project.create(tmp_path / "p", ProjectConfig())
    files = project.files("export")
    files.work.mkdir(parents=True)
    link(files.work / "x", outside)
    write_json(files.journal, {"files": ["x/own.png"], "record": {"inputs": {}}})
    project.settle()
    assert (outside / "own.png").read_bytes() == b"mine"
    assert not (files.final / "x").exists()


def deep_folder(root: Path, levels: int) -> Path:
    path = root.joinpath(*["d"] * levels)
    path.mkdir(parents=True)
    return path


def test_folders_nested_deep_are_listed(tmp_path):
    root = tmp_path / "images"
    place = root
    for _ in range(30):
        place = deep_folder(place, 40)
    (place / "a.png").write_bytes(b"1")
    try:
        assert len(list_files(root, (".png",))) == 1
        before = listing_digest(root)
        (place / "a.png").write_bytes(b"12")
        assert listing_digest(root) != before
    finally:
        # The clean-up of the tests recurses.
        (place / "a.png").unlink()
        for _ in range(1200):
            place.rmdir()
            place = place.parent


def test_links_to_and_fro_do_not_make_folders_many(tmp_path):
    for number in range(40):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "a.png").write_bytes(b"1")
    for number in range(39):
        for name in "xy":
            link(tmp_path / f"{number:02}" / name, Path("..") / f"{number + 1:02}")
    assert len(list(files_below(tmp_path / "00"))) == 40
    assert len(list_files(tmp_path / "00", (".png",))) == 40
    assert listing_digest(tmp_path / "00") == listing_digest(tmp_path / "00")


WILD_NAMES = ("a" * 300, "/".join(["a"] * 5000), "a/" * 3000 + "b")


@pytest.mark.parametrize("name", WILD_NAMES, ids=["long", "deep", "deeper"])
def test_names_that_no_disk_has_are_not_there(tmp_path, name):
    remove_files(tmp_path, [name])
    move_files(tmp_path, tmp_path / "target", [name])
    assert not (tmp_path / "target").exists()


def test_a_lone_surrogate_in_a_listing_is_refused(tmp_path):
    owned = Owned(tmp_path, tmp_path / "x.files", "a test")
    owned.claim(["a.png"])
    owned.listing.write_text(owned.listing.read_text() + json.dumps("\ud800") + "\n")
    with pytest.raises(InputError, match="expected the name of a file"):
        owned.names()


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_may_be_listed(tmp_path):
    owned = Owned(tmp_path, tmp_path / "x.files", "a test")
    owned.claim([os.fsdecode(b"\xff.png")])
    assert owned.names() == {os.fsdecode(b"\xff.png")}


def test_json_with_a_lone_surrogate_is_written_as_it_was_read(tmp_path):
    write_json(tmp_path / "x.json", {"\ud800": "ä\udc80"})
    assert read_object(tmp_path / "x.json") == {"\ud800": "ä\udc80"}


@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "[[{a = 0x" + "f" * 5000 + "}]]", str(1 << 63)])
def test_toml_with_an_integer_too_long_to_be_named_is_refused(tmp_path, value):
    path = tmp_path / "x.toml"
    path.write_text(f"a = {value}\n")
    with pytest.raises(InputError, match="more than 64 bits"):
        read_toml(path)


@pytest.mark.parametrize("key", ["a", "'a'", '"a b"', "a \t"])
def test_toml_with_a_key_that_takes_for_ever_is_refused_at_once(tmp_path, key):
    path = tmp_path / "x.toml"
    path.write_text(f"{'.'.join([key] * 100_000)} = 1\n")
    with pytest.raises(InputError, match="more than 64 parts"):
        read_toml(path)
    path.write_text(f"[{'.'.join([key] * 100_000)}]\n")
    with pytest.raises(InputError, match="more than 64 parts"):
        read_toml(path)


def test_toml_with_many_numbers_and_dots_is_read(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(f"a.b.c = [{', '.join(['1.5'] * 500)}]\nd = '{'a. ' * 40}{'.' * 500}'\n")
    assert read_toml(path)["a"]["b"]["c"] == [1.5] * 500


def test_a_report_shows_what_turns_or_hides_text(tmp_path):
    found = tag("p", "a\u202eb\n<b>\x1b", title="\u2066x")
    assert found == '<p title="\\u2066x">a\\u202eb\n&lt;b&gt;\\x1b</p>'


@pytest.mark.parametrize("framed", [False, True])
def test_a_small_archive_with_an_endless_pickle_is_refused(tmp_path, monkeypatch, framed):
    monkeypatch.setattr(claims, "_MOST_STEPS", 1000)
    body = b"(" * 5000
    frame = b"\x80\x04\x95" + len(body).to_bytes(8, "little") if framed else b"\x80\x02"
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", frame + body)
    with pytest.raises(ValueError, match="more than 1,000 steps"):
        claims.claimed_by_pickles(path)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_all_protocols_are_followed(tmp_path, protocol):
    path = tmp_path / "x.pth"
    content = pickle.dumps([{"a": "b" * 70_000, "c": list(range(1000))}, "d" * 70_000], protocol)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", content)
    assert claims.claimed_by_pickles(path) >= len(content)


@pytest.mark.skipif(os.name == "nt", reason="quoting of POSIX shells")
def test_a_suggested_command_quotes_the_name_of_a_folder():
    assert typed(Path("a/$(touch b)")) == "'a/$(touch b)'"
    assert typed(Path("a/city")) == "a/city"
