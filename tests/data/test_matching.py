from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crots.data.matching import key_of, keyed, list_files, match, plain_stem, some
from crots.errors import InputError

HERE = Path("folder")


def files(*keys):
    return {key: HERE / f"{key}.png" for key in keys}


def matched(keys, *candidates, **options):
    found = match(keys, files(*candidates), what="label", folder=HERE, **options)
    return {key: path.with_suffix("").relative_to(HERE).as_posix() for key, path in found.items()}


def test_equal_keys_win():
    assert matched(["a/1", "b/1"], "b/1", "a/1", "c/9") == {"a/1": "a/1", "b/1": "b/1"}


def test_cityscapes_names():
    image, label = "ulm/ulm_000000_000019_leftImg8bit", "ulm_000000_000019_gtFine_labelIds"
    for found in (f"ulm/{label}", f"train/ulm/{label}", label, label.replace("labelIds", "labelTrainIds")):
        assert matched([image], found) == {image: found}


def test_endings_are_ignored_within_equal_folders():
    keys = ["a/1_leftImg8bit", "b/1_leftImg8bit"]
    assert matched(keys, "a/1_gtFine_color", "b/1_gtFine_color") == {
        "a/1_leftImg8bit": "a/1_gtFine_color",
        "b/1_leftImg8bit": "b/1_gtFine_color",
    }


def test_camvid_names():
    assert matched(["0001TP_006690"], "0001TP_006690_L") == {"0001TP_006690": "0001TP_006690_L"}


def test_ambiguous_stems_are_refused_with_names():
    with pytest.raises(InputError) as error:
        matched(["1"], "a/1", "b/1")
    assert "a/1" in str(error.value) and "b/1" in str(error.value)
    with pytest.raises(InputError, match="does not decide"):
        matched(["a/1", "b/1"], "1")


def test_missing_files_are_named():
    with pytest.raises(InputError, match=r"no label for 5 of 5 images \(0, 1, 2 and 2 more\)"):
        matched([str(i) for i in range(5)], "x")
    assert matched(["a", "b"], "a", partial=True) == {"a": "a"}


def test_a_file_of_one_image_is_not_lent_to_another():
    with pytest.raises(InputError, match=r"no label for 1 of 2 images \(b/1\)"):
        matched(["a/1", "b/1"], "a/1")
    with pytest.raises(InputError, match="no label for 1"):
        matched(["a/1", "b/1"], "a/1", "c/1")


@given(st.lists(st.from_regex(r"([ab]/)?[ab](_L|_color)?", fullmatch=True), unique=True, max_size=8), st.data())
def test_no_file_is_given_twice(keys, data):
    candidates = data.draw(st.lists(st.sampled_from([*keys, "x", "a/x", "b/a", "a"]), unique=True))
    try:
        found = matched(keys, *candidates, partial=True)
    except InputError:
        return
    assert len(set(found.values())) == len(found)
    for key in keys:
        assert key not in candidates or found[key] == key


def test_keys_and_stems():
    assert key_of("a/b.c.png") == "a/b.c"
    assert plain_stem("a/x_gtFine_labelTrainIds") == "x"
    assert plain_stem("a/_L") == "_L", "nothing would be left"
    assert some([1, 2, 3, 4, 5]) == "1, 2, 3 and 2 more"
    assert some([1, 2]) == "1, 2"


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
        keyed(HERE, ["x/a.jpg", "x/a.png"])


def test_a_name_that_is_no_text_is_refused_at_once():
    names = ["a.png", "day/caf\udce9.png"]
    with pytest.raises(InputError, match=r"day/caf\\udce9.png' is not UTF-8; rename"):
        keyed(Path("images"), names)
