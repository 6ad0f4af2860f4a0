from pathlib import Path

import pytest

from crots.data.folder_listing import keyed, list_files
from crots.errors import InputError


def test_listing(tmp_path):
    for name in ("b/2.PNG", "a/1.jpg", "a/.hidden.png", ".cache/3.png", "a/readme.txt", "c/deep/er/4.jpeg", "5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "c" / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = list_files(tmp_path, {".png", ".jpg", ".jpeg"})
    assert [Path(name).as_posix() for name in found] == ["5.png", "a/1.jpg", "b/2.PNG", "c/deep/er/4.jpeg"]


def test_listing_what_is_no_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list_files(tmp_path / "absent", {".png"})
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="found a file"):
        list_files(tmp_path / "file", {".png"})


def test_two_suffixes_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"a\.jpg and a\.png"):
        keyed(Path("images"), ["x/a.jpg", "x/a.png"])


def test_a_name_that_is_no_text_is_refused_at_once():
    names = ["a.png", "day/caf\udce9.png"]
    with pytest.raises(InputError, match=r"day/caf\\udce9.png' is not UTF-8; rename"):
        keyed(Path("images"), names)
