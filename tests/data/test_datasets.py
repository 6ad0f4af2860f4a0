import numpy as np
import pytest
from PIL import Image

from crots.data.datasets import open_dataset, with_labels_alone
from crots.data.inspection import inspect
from crots.data.labels import read_truth, resolve_encoding
from crots.data.predictions import open_predictions
from crots.errors import InputError
from crots.images import write_image
from crots.label_files import write_labels
from crots.taxonomy import ClassSet
from tests.data.trees import label_names, touch


def test_given_labels(tmp_path):
    touch(tmp_path, "images/a/1.jpg", "images/b/1.jpg", "truth/a/1.png", "truth/b/1.png")
    dataset = open_dataset(tmp_path / "images", labels=tmp_path / "truth")
    assert [sample.label for sample in dataset.samples] == [tmp_path / "truth/a/1.png", tmp_path / "truth/b/1.png"]
    assert dataset.encoding == "auto"


@pytest.mark.parametrize("named", ["folder", "list", "root"])
def test_images_without_a_label_are_not_scored_however_labels_are_named(tmp_path, named):
    images, truth = (
        touch(tmp_path / kind, *(f"{name}{suffix}" for name in names))
        for kind, suffix, names in (("images", ".jpg", "abcd"), ("labels", ".png", "abc"))
    )
    listed = tmp_path / "list.txt"

    def opened():
        if named == "folder":
            return open_dataset(images, labels=truth)
        if named == "root":
            return open_dataset(tmp_path)
        has = [f" labels/{key}.png" if (truth / f"{key}.png").exists() else "" for key in "abcd"]
        listed.write_text("".join(f"images/{key}.jpg{label}\n" for key, label in zip("abcd", has, strict=True)))
        return open_dataset(listed)

    dataset = with_labels_alone(opened())
    assert [sample.image.stem for sample in dataset.samples] == ["a", "b", "c"] and dataset.labelled == 3
    (warning,) = [note.text for note in dataset.notes if note.warning]
    assert warning.endswith("1 of 4 images have no label and are not scored")
    for name in "bc":
        (truth / f"{name}.png").unlink()
    with pytest.raises(InputError, match="3 of 4 images"):
        with_labels_alone(opened())


def test_given_labels_must_fit(tmp_path):
    images = touch(tmp_path / "images", "a.jpg", "b.jpg")
    with pytest.raises(InputError, match="no such folder"):
        open_dataset(images, labels=tmp_path / "truth")
    truth = touch(tmp_path / "truth", "a.png")
    half = open_dataset(images, labels=truth)
    assert half.labelled == 1 and [note.text for note in half.notes] == [f"{truth}: 1 of 2 images have no label"]
    touch(images, "c.jpg")
    with pytest.raises(InputError, match=r"no label for 2 of 3 images \(b, c\)"):
        open_dataset(images, labels=truth)
    # Where a label has no image, one of them is perhaps mistyped.
    touch(truth, "b.png", "d.png")
    with pytest.raises(InputError, match=r"no label for 1 of 3 images \(c\) among 1 file of no other image"):
        open_dataset(images, labels=truth)
    (images / "c.jpg").unlink()
    (truth / "d.png").rename(truth / "c.png")
    with pytest.raises(InputError, match=r"found 3 labels for 2 images, expected as many; no image for c"):
        open_dataset(images, labels=truth)
    (truth / "c.png").rename(truth / "a.bmp")
    with pytest.raises(InputError, match=r"a\.bmp and a\.png"):
        open_dataset(images, labels=truth)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no label files"):
        open_dataset(images, labels=tmp_path / "none")


def test_labels_of_other_splits_may_lie_beside(cityscapes):
    dataset = open_dataset(cityscapes / "leftImg8bit/val", layout="folder", labels=cityscapes / "gtFine")
    assert label_names(dataset) == ["bonn_000000_000019_gtFine_labelIds.png"]
    assert dataset.encoding == "raw"


def test_own_labels_never_stop_a_run(tmp_path):
    touch(tmp_path, "images/a.jpg", "labels/a.png", "labels/a.bmp")
    dataset = open_dataset(tmp_path)
    assert dataset.labelled == 0
    assert "labels are not used" in dataset.notes[0].text


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="found no images"):
        open_dataset(tmp_path)
    touch(tmp_path, "a.png", "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and a\.png"):
        open_dataset(tmp_path)


def test_one_image(tmp_path):
    dataset = open_dataset(touch(tmp_path, "a.png", "b.png") / "a.png")
    assert (dataset.layout, dataset.keys) == ("image", ("a",))


@pytest.mark.parametrize("place", [".", "leftImg8bit/train", "datasets/list/cityscapes", "lists"])
def test_list_files_find_their_images(cityscapes, place):
    (cityscapes / place).mkdir(parents=True, exist_ok=True)
    path = cityscapes / place / "train.txt"
    path.write_text("ulm/ulm_000000_000019_leftImg8bit.png\n\naachen/aachen_000000_000019_leftImg8bit.png\n")
    dataset = open_dataset(path)
    assert dataset.layout == "list"
    assert dataset.keys == ("aachen/aachen_000000_000019_leftImg8bit", "ulm/ulm_000000_000019_leftImg8bit")
    assert (dataset.labelled, dataset.encoding) == (2, "raw")


def test_list_of_val_named_so(cityscapes):
    (cityscapes / "val.txt").write_text("bonn/bonn_000000_000019_leftImg8bit.png")
    assert len(open_dataset(cityscapes / "val.txt")) == 1


def test_list_with_labels_numbers_and_spaces(tmp_path):
    touch(tmp_path, "my images/a b.jpg", "my images/c.jpg", "l/a.png")
    path = tmp_path / "list.txt"
    path.write_text("my images/a b.jpg l/a.png\r\nmy images/c.jpg 0.31\nmy images/c.jpg\n")
    dataset = open_dataset(path)
    assert dataset.keys == ("my images/a b", "my images/c")
    assert label_names(dataset) == ["a.png", None]
    assert [note.text for note in dataset.notes] == ["1 lines are duplicates and count once"]


@pytest.mark.parametrize("text", ['"a b.jpg"\n"c.jpg"\n', 'image,label\n"a b.jpg",l/a.png\nc.jpg,\n', '"a b"\n"c"\n'])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_with_quotes(tmp_path, text, encoding):
    touch(tmp_path, "a b.jpg", "c.jpg", "l/a.png")
    path = tmp_path / "list.csv"
    path.write_text(text, encoding=encoding)
    assert open_dataset(path).keys == ("a b", "c")


def test_list_with_root(cityscapes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "train.txt"
    entry = "ulm/ulm_000000_000019_leftImg8bit.png\n"
    path.write_text(entry)
    with pytest.raises(InputError, match="# root: FOLDER"):
        open_dataset(path)
    assert len(open_dataset(path, root=cityscapes)) == 1
    path.write_text(f"# root: {cityscapes}\n{entry}")
    assert len(open_dataset(path)) == 1


def test_list_of_absolute_paths(cityscapes, tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "x.txt"
    images = sorted((cityscapes / "leftImg8bit" / "train").rglob("*.png"))
    path.write_text("\n".join(map(str, images)))
    assert open_dataset(path).keys == (
        "aachen/aachen_000000_000019_leftImg8bit",
        "ulm/ulm_000000_000019_leftImg8bit",
    )


@pytest.mark.parametrize("head", ["/SegNet/CamVid/", "C:\\work\\CamVid\\"])
def test_a_list_of_whole_paths_of_another_computer(tmp_path, head):
    rows = []
    for name in ("0001TP_1.png", "0001TP_2.png"):
        touch(tmp_path, f"train/{name}", f"trainannot/{name}", f"val/{name}")
        rows.append(f"{head}train/{name} {head}trainannot/{name}\n")
    (tmp_path / "train.txt").write_text("".join(rows))
    dataset = open_dataset(tmp_path / "train.txt")
    assert [sample.image.parent.name for sample in dataset.samples] == ["train"] * 2
    assert label_names(dataset) == ["0001TP_1.png", "0001TP_2.png"]
    (tmp_path / "train.txt").write_text("".join(rows) + "/elsewhere/train/0001TP_3.png\n")
    with pytest.raises(InputError, match=r"1 of 3 files are not in .*0001TP_3"):
        open_dataset(tmp_path / "train.txt")


def test_faulty_lists(tmp_path):
    path = tmp_path / "list.txt"
    path.touch()
    with pytest.raises(InputError, match="the list is empty"):
        open_dataset(path)
    path.write_text("a.jpg\nnonsense\n")
    with pytest.raises(InputError, match="line 2: found 'nonsense'"):
        open_dataset(path)
    touch(tmp_path, "a.jpg")
    path.write_text("a.jpg\nb.jpg\n")
    with pytest.raises(InputError, match=r"1 of 2 files are not in .* \(b.jpg\)"):
        open_dataset(path)
    path.write_bytes(b"\xff\x00\x80")
    with pytest.raises(InputError, match="neither an image nor a text file"):
        open_dataset(path)


def test_thousands_of_files_are_listed_without_opening_one(tmp_path, monkeypatch):
    for folder in range(10):
        touch(tmp_path, *(f"{folder}/{index:05}.jpg" for index in range(500)))
    monkeypatch.setattr("PIL.Image.open", lambda *arguments, **options: pytest.fail("an image was opened"))
    assert len(open_dataset(tmp_path)) == 5000


def test_label_files_are_listed_but_not_opened(tmp_path, monkeypatch):
    touch(tmp_path, "images/a.jpg", "labels/a.png")

    def refuse(*args, **kwargs):
        raise AssertionError("opened an image")

    monkeypatch.setattr(Image, "open", refuse)
    assert open_dataset(tmp_path).labelled == 1


def test_a_list_of_many_megabytes_is_not_read(tmp_path):
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.truncate(65 * 10**6)
    with pytest.raises(InputError, match=r"list\.txt: has 65 MB, expected at most 64 MB"):
        open_dataset(path)


def test_names_that_no_file_can_have_are_missing_files(tmp_path):
    path = tmp_path / "list.txt"
    for name in ("x" * 5000 + ".png", "a\x00.png", "../" * 3000 + "a.png"):
        path.write_text(name + "\n")
        with pytest.raises(InputError, match=r"list\.txt"):
            open_dataset(path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "bom"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("sign", [",", ";", "\t", ", "])
@pytest.mark.parametrize("head", [True, False])
def test_lists_as_tables(tmp_path, mark, ends, sign, head):
    for name in ("a b", "ü"):
        write_image(tmp_path / "images" / f"{name}.jpg", np.zeros((4, 4, 3), np.uint8))
        write_labels(tmp_path / "labels" / f"{name}.png", np.zeros((4, 4), int))
    lines = ([sign.join(("image", "label"))] if head else []) + [
        f"images/{name}.jpg{sign}labels/{name}.png" for name in ("a b", "ü")
    ]
    (tmp_path / "list.csv").write_bytes(mark + ends.join(lines).encode())
    dataset = open_dataset(tmp_path / "list.csv")
    assert (len(dataset), dataset.labelled) == (2, 2)


def test_pictures_beside_ids_are_no_labels(tmp_path):
    classes = ClassSet.from_dict({"name": "two", "names": ["a", "b"]})
    for name in ("1", "2"):
        write_image(tmp_path / "images" / f"{name}.jpg", np.zeros((4, 4, 3), np.uint8))
        write_labels(tmp_path / "labels" / f"{name}.png", np.ones((4, 4), int))
        write_image(tmp_path / "labels" / f"{name}_color.png", np.full((4, 4, 3), (9, 200, 3), np.uint8))
    assert label_names(open_dataset(tmp_path, classes=classes)) == ["1.png", "2.png"]
    (tmp_path / "labels" / "2.png").unlink()
    assert label_names(open_dataset(tmp_path, classes=classes)) == ["1_color.png", "2_color.png"]


def test_labels_that_belong_to_no_image_are_reported(tmp_path):
    write_image(tmp_path / "images" / "street.jpg", np.zeros((4, 4, 3), np.uint8))
    write_labels(tmp_path / "labels" / "wood.png", np.ones((4, 4), int))
    dataset = open_dataset(tmp_path)
    assert dataset.labelled == 0 and "1 of 1 images have no label" in dataset.notes[-1].text


def webp(path, pixels, *, lossless):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=lossless)


@pytest.fixture
def photo_and_ids():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (16, 24, 3), np.uint8), np.kron([[0, 1], [2, 0]], np.ones((8, 12))).astype(np.uint8)


def test_webp_labels_without_loss_are_read_like_any_other(tmp_path, photo_and_ids):
    photo, ids = photo_and_ids
    for name in "ab":
        webp(tmp_path / "images" / f"{name}.webp", photo, lossless=False)
        webp(tmp_path / "labels" / f"{name}.webp", ids, lossless=True)
    dataset = open_dataset(tmp_path)
    assert dataset.labelled == 2
    classes = ClassSet("three", ("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    dataset = resolve_encoding(dataset, classes)
    assert (read_truth(dataset.samples[0], dataset, classes) == ids).all()


def test_webp_photographs_are_no_labels_of_what_lies_beside(tmp_path, photo_and_ids):
    photo, ids = photo_and_ids
    for name in "ab":
        webp(tmp_path / f"{name}.webp", photo, lossless=False)
        write_labels(tmp_path / f"{name}.png", ids)
    dataset = open_dataset(tmp_path)
    assert [sample.image.name for sample in dataset.samples] == ["a.webp", "b.webp"]
    assert [sample.label.name for sample in dataset.samples] == ["a.png", "b.png"]


def test_webp_masks_with_loss_are_refused_by_name(tmp_path, photo_and_ids):
    photo, ids = photo_and_ids
    webp(tmp_path / "images" / "a.webp", photo, lossless=False)
    webp(tmp_path / "labels" / "a.webp", ids, lossless=False)
    with pytest.raises(InputError, match="1 images in lossy formats, as these WebP files are"):
        open_dataset(tmp_path / "images", labels=tmp_path / "labels")
    classes = ClassSet("three", ("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
    with pytest.raises(InputError, match="no predictions, but 1 images in lossy formats, as these WebP files are"):
        open_predictions(tmp_path / "labels", None, classes)
    webp(tmp_path / "maps" / "a.webp", ids, lossless=True)
    assert inspect(tmp_path / "maps", classes=classes).kind == "label maps"
    assert inspect(tmp_path / "labels", classes=classes).kind == "data set"
