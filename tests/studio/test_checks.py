"""What the set-up page says of real files: counts, sizes, ids, keys, class maps; every error becomes a finding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crots.config import Size
from crots.images import write_image
from crots.label_files import write_confidence, write_labels
from crots.nets.model import create_model
from crots.nets.quiet import torch_jit
from crots.nets.weights import save_pth, save_safetensors
from crots.opening import Inputs
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set
from crots.trust import with_trust
from crots_studio.checks import CHECKS, INPUTS, Setup, check
from crots_studio.models.project_form import DEPENDS
from tests.banded import write_tiff

NET = "torchvision:lraspp_mobilenet_v3_large"


@pytest.fixture
def look(tmp_path):
    """Checks one field of a configuration given by options."""

    def look(name, **settings):
        config = override(ProjectConfig(), {key.replace("__", "."): value for key, value in settings.items()})
        return check(name, config, tmp_path)

    return look


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for number in range(4):
        write_image(folder / f"{number}.png", np.full((48, 64, 3), 40 * number, np.uint8))
    return folder


def labels(folder, values, count=4):
    for number in range(count):
        write_labels(folder / f"{number}.png", np.resize(np.array(values, np.uint8), (48, 64)))
    return folder


def test_every_check_has_its_options():
    assert set(CHECKS) == set(DEPENDS)


def test_names_of_no_network_and_other_units_are_findings(look, tmp_path):
    path = tmp_path / "own.safetensors"
    made = create_model("compact", ClassSet("two", ("a", "b"), ((1, 2, 3), (4, 5, 6))), Size(64, 64))
    save_safetensors(path, made.net, made.card)
    found = look("student", source__file=str(path), student__net="deeplabv2_resnet100")
    assert found.level == "bad"
    assert "deeplabv2_resnet101" in found.text
    found = look("source", source__file=str(path), source__mean="0.485,0.456,0.406")
    assert found.level == "bad"
    assert "123.675,116.28,103.53" in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"source.mean": "123.675,116.28,103.53"}]


def test_what_makes_scores_say_less_is_a_warning(look, images, tmp_path):
    truth = labels(tmp_path / "truth", [0, 1, 2])
    val = {"data__val_images": images, "data__val_labels": truth, "task__classes": "camvid"}
    assert look("validation", **val).level == "good"
    shared = look("validation", data__target=images, **val)
    assert shared.level == "warning" and "4 of 4 validation images are target images too" in shared.text
    others = tmp_path / "others"
    for number in range(4):
        write_image(others / f"other{number}.png", np.full((48, 64, 3), 40 * number, np.uint8))
    predicted = tmp_path / "predicted"
    for number in range(4):
        write_labels(predicted / f"other{number}.png", np.zeros((48, 64), np.uint8))
    found = look("validation", data__target=others, source__predictions=predicted, **val)
    assert found.level == "warning" and "the source cannot be scored" in found.text
    void = labels(tmp_path / "void", [255])
    found = look("validation", **{**val, "data__val_labels": void})
    assert found.level == "warning" and "no pixel of them has a class" in found.text


def test_predictions_that_can_be_read_in_two_ways_are_a_question(look, images, tmp_path):
    predicted = labels(tmp_path / "predicted", [7, 8, 11, 13])
    found = look("source", data__target=images, source__predictions=predicted)
    assert found.level == "bad"
    assert {"source.encoding": "raw"} in [dict(offer.settings) for offer in found.offers]


def test_inputs_where_the_project_writes_are_refused_before_a_run_does(look, tmp_path):
    places = {
        "data.target": ("data.target", "cache/images"),
        "data.val_images": ("validation", "patches/images"),
        "data.val_labels": ("validation", "corrections/label_ids"),
        "task.classes": ("task.classes", "records/mine.toml"),
        "task.source_classes": ("task.source_classes", "studio/mine.toml"),
        "task.class_map": ("task.class_map", "crots.toml"),
        "source.file": ("source", "adapt-1/student.safetensors"),
        "source.predictions": ("source", "pseudo-labels/label_ids"),
        "source.confidence": ("source", "unfinished/confidence"),
        "student.weights": ("student", "export/adapted.pth"),
    }
    assert {".".join(option) for options in INPUTS.values() for option in options} == set(places)
    settings = {option.replace(".", "__"): place for option, (_, place) in places.items()}
    for place in settings.values():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch() if Path(place).suffix else (tmp_path / place).mkdir()
    for option, (name, place) in places.items():
        # Alone, and beside others whose fields say so themselves.
        for given in ({option.replace(".", "__"): place}, settings):
            found = look(name, **given)
            assert found.level == "bad" and "where CROTS writes" in found.text, (option, found)
    assert "where CROTS writes" not in look("data.size", **settings).text


def test_target_counts_layout_and_sizes(look, images):
    found = look("data.target", data__target=images)
    assert (found.level, found.text) == ("good", "4 images, folder layout, 64x48")
    write_image(images / "large.png", np.zeros((96, 96, 3), np.uint8))
    assert "2 sizes, most often 64x48" in look("data.target", data__target=images).text


def test_a_relative_path_is_relative_to_the_project(look, images):
    assert look("data.target", data__target="images").level == "good"


def test_label_maps_are_no_photographs(look, tmp_path):
    folder = labels(tmp_path / "labels", range(11))
    found = look("data.target", data__target=folder)
    assert found.level == "warning" and "look like label maps" in found.text


def test_an_error_shown_by_another_field_is_not_repeated(look, images, tmp_path):
    found = look("data.size", data__target=tmp_path / "none")
    assert (found.level, "Target images" in found.text) == ("empty", True)
    for name in ("task.class_map", "validation"):
        found = look(name, task__classes="nonsense", data__val_images=images)
        assert (found.level, "Class set" in found.text) == ("empty", True)
    assert look("task.classes", task__classes="").text.startswith("Choose the classes")


def test_a_map_that_nobody_needs_can_be_dropped(look):
    found = look("task.class_map", task__classes="demo", task__class_map="cityscapes-to-camvid")
    assert found.level == "bad" and dict(found.offers[0].settings) == {"task.class_map": "none"}


def test_a_size_of_another_shape_or_far_too_large_is_a_warning(look, images):
    assert look("data.size", data__target=images, data__size="128x64").level == "warning"
    found = look("data.size", data__target=images, data__size="6400x6400")
    assert found.level == "warning"
    assert look("data.size", data__target=images, data__size="128x128").level == "good"


def test_a_program_is_named_and_never_opened_trusted_or_not(look, tmp_path, monkeypatch):
    path = tmp_path / "program.pt"
    with torch_jit():
        torch.jit.trace(torch.nn.Identity(), torch.zeros(1, 3, 8, 8)).save(str(path))
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("it was opened"))
    found = look("source", source__file=path)
    assert found.level == "bad" and "--" not in found.text and f"'{path}', a TorchScript program" in found.text
    (offer,) = found.offers
    assert not offer.settings and [piece.name for piece in offer.trust] == [str(path)]
    config = override(ProjectConfig(), {"source.file": path})
    found = check("source", config, tmp_path, offer.trust)
    assert found.level == "good" and not found.offers and found.brief == "TorchScript program"
    assert check("source", override(config, {"source.net": "a.b:c"}), tmp_path, offer.trust).level == "bad"


def test_a_network_of_both_is_trusted_once_for_both(look, tmp_path):
    (tmp_path / "m.pth").write_bytes(b"any")
    config = override(ProjectConfig(), {"source.file": "m.pth", "source.net": "a.b:c", "student.net": "a.b:c"})
    (offer,) = check("student", config, tmp_path).offers
    assert with_trust(config, tmp_path, offer.trust).runtime.trust
    for name in ("source", "student"):
        assert check(name, config, tmp_path, offer.trust).level == "good"
    missing = override(config, {"source.file": "gone.pth"})
    assert "gone.pth" in check("source", missing, tmp_path, offer.trust).text


def test_a_broken_image_keeps_run_waiting_until_it_may_be_left_out(look, images):
    content = (images / "2.png").read_bytes()
    (images / "2.png").write_bytes(content[: len(content) // 2])
    found = look("data.target", data__target=images)
    assert found.level == "bad" and "1 of the 4 checked cannot be read" in found.text and "2.png" in found.text
    (offer,) = found.offers
    mended = look("data.target", data__target=images, data__skip_bad=True)
    assert dict(offer.settings) == {"data.skip_bad": "true"}
    assert mended.level == "warning" and "will be skipped" in mended.text and not mended.offers
    assert any("2.png" in line for line in found.details)


def test_images_of_many_bands_ask_for_three_of_them(look, tmp_path):
    for name in ("a", "b"):
        write_tiff(tmp_path / "many" / f"{name}.tif", np.full((8, 8, 5), 100, np.uint16))
    found = look("data.target", data__target=tmp_path / "many")
    assert found.level == "bad" and "has 5 bands" in found.text and "`" not in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"data.bands": "1,2,3"}, {"data.bands": "3,2,1"}]
    skipped = look("data.target", data__target=tmp_path / "many", data__skip_bad=True)
    assert skipped.level == "bad" and skipped.offers == found.offers


def test_floating_point_and_dark_images_ask_for_white(look, tmp_path):
    for kind, pixels in (("share", np.full((8, 8), 0.5, np.float32)), ("dark", np.full((8, 8), 900, np.uint16))):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "a.tif")
    found = look("data.target", data__target=tmp_path / "share")
    assert found.level == "bad" and "floating-point values from 0.5 to 0.5" in found.text
    assert {"data.white": "1"} in [dict(offer.settings) for offer in found.offers]
    assert look("data.target", data__target=tmp_path / "share", data__white=1.0).level != "bad"
    dark = look("data.target", data__target=tmp_path / "dark")
    assert dark.level == "warning" and [dict(offer.settings) for offer in dark.offers] == [{"data.white": "1023"}]


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_a_missing_or_empty_folder_is_an_error(look, tmp_path, name):
    (tmp_path / "empty").mkdir()
    found = look("data.target", data__target=tmp_path / name)
    assert found.level == "bad"
    assert name in found.text


def test_nothing_chosen_is_no_error(look):
    for name in ("data.target", "source", "validation", "data.size"):
        assert look(name).level == "empty"


def test_a_size_that_is_chosen_before_the_images_is_not_called_a_proposal(look):
    assert "Proposed from the images once" in look("data.size").text
    for chosen in ({"data__size": "64x48"}, {"data__tile": "64x64"}):
        assert "Checked against the images once" in look("data.size", **chosen).text


def test_the_size_is_proposed_and_another_can_go_back_to_it(look, images):
    assert "working size 64x" in look("data.size", data__target=images).text.lower()
    found = look("data.size", data__target=images, data__size="32x32")
    assert found.offers[0].settings == {"data.size": "none"}


def test_class_sets_are_listed_and_typing_errors_get_the_nearest(look):
    assert look("task.classes", task__classes="camvid").text.startswith("11 classes: sky")
    found = look("task.classes", task__classes="camvit")
    assert found.level == "bad" and "camvid" in found.text


def test_different_classes_need_a_map(look):
    both = {"task__classes": "camvid", "task__source_classes": "cityscapes"}
    assert look("task.class_map", task__classes="camvid").text.startswith("Not needed")
    assert look("task.class_map", **both).level == "bad"
    assert look("task.class_map", **both, task__class_map="cityscapes-to-camvid").level == "good"


def test_predictions_are_matched_and_their_ids_checked(look, images, tmp_path):
    folder = labels(tmp_path / "said", [0, 10])
    given = {"data__target": images, "task__classes": "camvid", "source__predictions": folder}
    found = look("source", **given)
    assert found.level == "warning" and "every pixel counts as certain" in found.text
    for number in range(4):
        write_confidence(tmp_path / "sure" / f"{number}.png", np.full((48, 64), 0.8, np.float32))
    found = look("source", **given, source__confidence=tmp_path / "sure")
    assert found.level == "good" and "mean confidence 80%" in found.text


def test_predictions_out_of_range_or_for_other_images_are_errors(look, images, tmp_path):
    given = {"data__target": images, "task__classes": "camvid"}
    found = look("source", **given, source__predictions=labels(tmp_path / "x", [0, 11]))
    assert found.level == "bad" and "11" in found.text
    found = look("source", **given, source__predictions=labels(tmp_path / "y", [0], count=3))
    assert found.level == "bad" and "3" in found.text


def test_validation_labels_are_counted_and_judged(look, images, tmp_path):
    good = labels(tmp_path / "labels", [0, 10, 255])
    found = look("validation", task__classes="camvid", data__val_images=images, data__val_labels=good)
    assert found.level == "good" and "4 with labels" in found.text
    bad = labels(tmp_path / "bad", [0, 77])
    found = look("validation", task__classes="camvid", data__val_images=images, data__val_labels=bad)
    assert found.level == "bad" and "77" in found.text
    assert look("validation", data__val_labels=good).level == "bad"


@pytest.fixture
def model():
    return create_model(NET, load_class_set("camvid"), Size(64, 48), seed=1)


def test_a_checkpoint_s_keys_are_matched(look, model, tmp_path):
    save_pth(tmp_path / "source.pth", model.net)
    found = look("source", source__file="source.pth", source__net=NET, task__classes="camvid")
    assert found.level == "good" and "11 classes" in found.text and "tensors matched" in found.text
    found = look("source", source__file="source.pth", source__net=NET, task__classes="cityscapes")
    assert found.level == "bad" and "11" in found.text and "19" in found.text


def test_a_file_that_says_its_network_offers_it(look, model, tmp_path):
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    given = {"source__file": "source.safetensors", "task__classes": "camvid"}
    found = look("source", **given, source__net="compact")
    assert found.level == "bad"
    assert found.offers[0].settings == {"source.net": NET}
    settings = {key.replace(".", "__"): value for key, value in found.offers[0].settings.items()}
    assert look("source", **given, **settings).level == "good"
    assert look("source", **given).text.startswith(f"{NET}, as the file says")


def test_a_missing_or_foreign_file_is_an_error(look, tmp_path):
    (tmp_path / "notes.pth").write_text("hello")
    assert look("source", source__file="gone.pth").level == "bad"
    assert look("source", source__file="notes.pth").level == "bad"


def test_the_student_needs_a_start(look, model, tmp_path):
    found = look("student", source__predictions=tmp_path, student__net=NET, task__classes="camvid")
    assert found.level == "bad"
    assert [offer.settings["student.weights"] for offer in found.offers] == ["imagenet", "random"]
    save_pth(tmp_path / "start.pth", model.net)
    given = {"student__net": NET, "task__classes": "camvid"}
    assert look("student", **given, student__weights="random").level == "warning"
    assert look("student", **given, student__weights="start.pth").level == "good"
    encoder = {name: tensor for name, tensor in model.net.state_dict().items() if "classifier" not in name}
    torch.save(encoder, tmp_path / "encoder.pth")
    assert look("student", **given, student__weights="encoder.pth").level == "good"
    write_image(tmp_path / "images" / "a.png", np.zeros((32, 32, 3), np.uint8))
    found = look("student", **given, student__weights="encoder.pth", data__target="images")
    assert found.level == "warning" and "from the 1 target images, which are few" in found.text
    assert look("student", **given, student__weights="start.pth", data__target="images").level == "good"
    assert look("student", source__file="start.pth", source__net=NET, task__classes="camvid").level == "good"


def test_classes_count_as_chosen_once_somebody_chose_them_or_a_source_speaks_for_them(look, images, tmp_path):
    found = look("task.classes", data__target=images)
    assert found.level == "empty" and "unless you choose others" in found.text and not found.offers
    assert look("task.classes", data__target=images, task__classes="camvid").level == "good"
    assert look("task.classes", source__predictions=labels(tmp_path / "said", [0, 10])).level == "good"


def test_the_classes_of_a_data_set_that_is_laid_out_like_a_known_one_are_offered(look, tmp_path):
    for split in ("train", "val"):
        write_image(
            tmp_path / "city" / "leftImg8bit" / split / "a" / "a_0_0_leftImg8bit.png", np.zeros((8, 16, 3), np.uint8)
        )
    given = {"data__target": tmp_path / "city", "task__classes": "cityscapes"}
    assert not look("task.classes", **given).offers, "they are these"
    photos = tmp_path / "street"
    for split, name in (("train", "0001TP_006690"), ("val", "0016E5_07959")):
        write_image(photos / "images" / split / f"{name}.png", np.zeros((36, 48, 3), np.uint8))
        write_labels(photos / "labels" / split / f"{name}.png", np.zeros((36, 48), np.uint8))
    offers = look("task.classes", data__target=photos).offers
    assert [offer.settings for offer in offers] == [{"task.classes": "camvid"}]


def test_predictions_in_other_classes_offer_the_sets_that_hold_their_ids(look, images, tmp_path):
    folder = labels(tmp_path / "said", [0, 11, 18])
    found = look("source", data__target=images, task__classes="camvid", source__predictions=folder)
    assert found.level == "bad" and "11, 18" in found.text and "other classes than the target" in found.text
    assert found.offers[0].settings == {"task.source_classes": "cityscapes", "task.class_map": "none"}
    assert "source classes" not in found.short.lower() and found.short == "other classes"
    good = look("source", data__target=images, task__classes="camvid", source__predictions=folder,
                task__source_classes="cityscapes")  # fmt: skip
    assert good.level == "warning" and not good.offers


def test_confidence_beside_the_predictions_is_offered(look, images, tmp_path):
    folder = labels(tmp_path / "said" / "label_ids", [0, 10])
    given = {"data__target": images, "task__classes": "camvid", "source__predictions": folder}
    assert not look("source", **given).offers
    for number in range(4):
        write_confidence(tmp_path / "said" / "confidence" / f"{number}.png", np.full((48, 64), 0.8, np.float32))
    (offer,) = look("source", **given).offers
    found = look("source", **given, **{key.replace(".", "__"): value for key, value in offer.settings.items()})
    assert found.level == "good" and "mean confidence 80%" in found.text


@pytest.mark.parametrize("chosen", ["", "images", "images/train", "images/val"])
def test_the_labelled_split_of_the_target_s_data_set_is_offered_for_validation(look, tmp_path, chosen):
    root = tmp_path / "mine"
    for split in ("train", "val"):
        write_image(root / "images" / split / f"{split}.png", np.zeros((48, 64, 3), np.uint8))
    given = {"task__classes": "camvid", "data__target": root / chosen}
    assert not look("validation", **given).offers, "there are no labels"
    write_labels(root / "labels" / "val" / "val.png", np.full((48, 64), 3, np.uint8))
    found = look("validation", **given)
    if chosen == "images/val":
        assert not found.offers, "these would be scored on what they learn from"
        return
    assert found.level == "empty" and found.offers[0].label == "Score on the 1 labelled image of mine"
    settings = {key.replace(".", "__"): value for key, value in found.offers[0].settings.items()}
    assert set(settings) == {"data__val_images", "data__val_labels"}
    assert look("validation", **given, **settings).level == "good"
    del settings["data__val_labels"]
    found = look("validation", **given, **settings)
    assert found.level == "warning" and "no stage evaluates" in found.text, "labels that only the layout knows"
    assert found.offers[0].settings == {"data.val_labels": str(root / "labels" / "val")}
    write_labels(root / "labels" / "val" / "val.png", np.full((48, 64), 90, np.uint8))
    assert not look("validation", **given).offers, "they are labels of other classes"


def test_a_network_nobody_knows_is_an_error(look):
    found = look("student", student__net="deeplab", student__weights="random")
    assert found.level == "bad" and "deeplabv2" in found.text


def test_the_shared_real_data(look):
    data = Path(__file__).parents[2] / ".." / "shared" / "data" / "camvid"
    if not data.is_dir():
        pytest.skip("the shared data is not here")
    data = data.resolve()
    found = look(
        "source",
        data__target=data / "images" / "train",
        source__predictions=data / "black_box" / "label_ids" / "train",
        source__confidence=data / "black_box" / "confidence" / "train",
        task__classes="camvid",
        task__source_classes="cityscapes",
        task__class_map="cityscapes-to-camvid",
    )
    assert found.level == "good" and "367 label maps, every target image has one" in found.text


def test_the_studio_opens_what_a_run_opens(tmp_path):
    config = override(ProjectConfig(), {"task.classes": "camvid", "task.class_map": "cityscapes-to-camvid"})
    assert Setup(config, tmp_path).source_classes == Inputs(config, tmp_path).source_classes
    assert check("task.class_map", config, tmp_path).level in ("good", "warning")
    assert check("task.source_classes", config, tmp_path).text.startswith("From the class map: cityscapes")
    made = create_model("compact", load_class_set("demo"), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    config = override(ProjectConfig(), {"task.classes": "demo", "source.file": "model.safetensors"})
    found = check("source", config, tmp_path)
    assert (found.level, found.brief) == ("good", "compact") and "as the file says" in found.text
    assert check("student", config, tmp_path).text == "compact, starting from the source's weights"


def test_labels_that_can_be_read_in_two_ways_are_a_question(look, images, tmp_path):
    settings = {
        "task__classes": "cityscapes",
        "data__val_images": images,
        "data__val_labels": labels(tmp_path / "raw", [7, 8, 11, 0]),
    }
    found = look("validation", **settings)
    assert found.level == "bad" and "which can mean train" in found.text and "--" not in found.text
    assert [dict(offer.settings) for offer in found.offers] == [
        {"data.val_encoding": "train"},
        {"data.val_encoding": "raw"},
    ]
    assert "own ids" in found.offers[1].label
    assert look("validation", **settings, data__val_encoding="raw").level == "good"


def test_classes_that_differ_offer_those_of_the_source_and_no_map_to_drop(look, tmp_path):
    classes = load_class_set("camvid")
    model = create_model("compact", classes, Size(64, 48), seed=0)
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    file = str(tmp_path / "source.safetensors")
    for given in ({"source__file": file}, {"task__source_classes": "camvid"}):
        found = look("task.class_map", **given)
        assert found.level == "bad" and [dict(offer.settings) for offer in found.offers] == [{"task.classes": "camvid"}]
        assert look("task.class_map", **given, task__classes="camvid").level == "good"


def test_classes_that_only_the_source_s_file_knows_are_offered_too(look, tmp_path):
    classes = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
    model = create_model("compact", classes, Size(64, 48), seed=0)
    save_safetensors(tmp_path / "source.safetensors", model.net, model.card)
    found = look("task.class_map", source__file=str(tmp_path / "source.safetensors"))
    assert found.level == "bad" and [offer.classes for offer in found.offers] == [classes]
    assert "of a stranger" in found.text and "propose one by name" in found.text
    student = look("student", source__file=str(tmp_path / "source.safetensors"))
    assert student.level == "empty" and not student.offers, "random weights are no answer to classes that differ"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_a_model_folder_offers_the_folder(look, tmp_path, name):
    folder = tmp_path / "segformer"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_text('{"model_type": "segformer"}')
    found = look("source", source__file=str(folder / name))
    assert found.level == "bad" and "the folder segformer" in found.text
    assert [dict(offer.settings) for offer in found.offers] == [{"source.file": str(folder)}]
    (tmp_path / "alone.pth").write_text("no weights")
    assert not look("source", source__file=str(tmp_path / "alone.pth")).offers


def test_a_student_waits_for_the_source_without_an_alarm(look, tmp_path):
    assert look("student").level == "empty"
    assert look("student", source__predictions=tmp_path).level == "bad"


def test_nothing_is_chosen_is_reported_in_few_words_in_the_rail(look):
    assert look("data.target").short == look("source").short == "not chosen yet"


def test_large_images_are_offered_tiles_and_tiles_a_way_back(look, images, tmp_path):
    assert look("data.size", data__target=images).offers == (), "nothing is lost by resizing small images"
    write_image(tmp_path / "large" / "one.png", np.zeros((1800, 3200, 3), np.uint8))
    found = look("data.size", data__target=tmp_path / "large")
    assert found.level == "good" and "tiles of 704x704 keep them" in found.text
    assert found.offers[0].settings == {"data.tile": "704x704"}
    found = look("data.size", data__target=tmp_path / "large", data__tile="704x704")
    assert found.level == "good" and "cut into tiles of 704x704" in found.text and "25%" in found.text
    assert found.offers[0].settings == {"data.tile": "none"}
    found = look("data.size", data__target=tmp_path / "large", data__tile="704x704", data__size="512x256")
    assert found.level == "bad" and "expected one of them" in found.text
