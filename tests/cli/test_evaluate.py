import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


def write(folder, **maps):
    for name, labels in maps.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(labels, np.uint8)).save(path)
    return folder


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth", a=[[0, 0, 1, 255]], b=[[13, 13, 1, 1]])


@pytest.fixture
def said(tmp_path):
    return write(tmp_path / "said", a=[[0, 1, 1, 5]], b=[[13, 255, 1, 1]])


def evaluate(crots, said, truth, tmp_path, *more, classes="cityscapes"):
    ran = crots(
        "evaluate", "--predictions", said, "--labels", truth, "--classes", classes, "--encoding", "train",
        "--json", tmp_path / "scores.json", *more,
    )  # fmt: skip
    return ran, json.loads((tmp_path / "scores.json").read_text()) if ran.code == 0 else None


def test_contract(crots, said, truth, tmp_path):
    ran, found = evaluate(crots, said, truth, tmp_path)
    assert ran.code == 0, ran.err
    assert set(found) == {"miou", "per_class_iou", "miou16", "miou13", "confusion", "images"}
    # A prediction of ignore on a labelled pixel is a miss: car 1 of 2. Truth of ignore counts nowhere.
    iou = found["per_class_iou"]
    assert (iou["road"], iou["sidewalk"], iou["car"]) == (0.5, 0.75, 0.5)
    assert len(iou) == 19
    assert sum(value is None for value in iou.values()) == 16
    assert found["miou"] == pytest.approx((0.5 + 0.75 + 0.5) / 3)
    assert found["images"] == 2
    assert np.shape(found["confusion"]) == (19, 19)
    assert found["confusion"][0][:2] == [1, 1]


def test_table_is_printed(crots, said, truth, tmp_path):
    ran, _ = evaluate(crots, said, truth, tmp_path)
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["sidewalk", "75.0"] in rows
    assert ["mIoU", "58.3"] in rows


def test_no_subsets_where_the_set_defines_none(crots, tmp_path):
    labels = write(tmp_path / "truth", a=[[0, 1]])
    _, found = evaluate(crots, labels, labels, tmp_path, classes="camvid")
    assert set(found) == {"miou", "per_class_iou", "confusion", "images"}
    assert found["miou"] == 1.0


def test_class_map_renames_predictions(crots, tmp_path):
    truth = write(tmp_path / "truth", a=[[3, 4, 0]])
    said = write(tmp_path / "said", a=[[0, 1, 10]])
    ran, found = evaluate(
        crots, said, truth, tmp_path, "--source-classes", "cityscapes", "--class-map", "cityscapes-to-camvid",
        classes="camvid",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert found["miou"] == 1.0


def test_predictions_of_another_size_are_resized(crots, tmp_path):
    truth = write(tmp_path / "truth", a=np.repeat(np.repeat([[0, 1]], 4, axis=1), 4, axis=0))
    said = write(tmp_path / "said", a=[[0, 1]])
    _, found = evaluate(crots, said, truth, tmp_path)
    assert found["miou"] == 1.0


def test_predictions_of_another_shape_are_refused_with_both_and_stretched_ones_taken_when_said(crots, tmp_path):
    truth = write(tmp_path / "truth", a=np.zeros((20, 40), int))
    turned = write(tmp_path / "turned", a=np.zeros((40, 20), int))
    ran = crots("evaluate", "--predictions", turned, "--labels", truth, "--classes", "demo")
    assert ran.code == 2 and "is 20x40, but its image is 40x20" in ran.err and "EXIF" in ran.err
    square = write(tmp_path / "square", a=np.zeros((30, 30), int))
    ran = crots("evaluate", "--predictions", square, "--labels", truth, "--classes", "demo")
    assert ran.code == 2 and "is 30x30, but its image is 40x20" in ran.err
    assert (
        crots("evaluate", "--predictions", square, "--labels", truth, "--classes", "demo", "--size", "30x30").code == 0
    )


def test_labels_that_are_void_everywhere_have_no_score(crots, tmp_path):
    truth = write(tmp_path / "truth", a=np.full((8, 8), 255))
    said = write(tmp_path / "said", a=np.zeros((8, 8), int))
    ran, found = evaluate(crots, said, truth, tmp_path)
    assert ran.code == 0 and found["miou"] is None


def test_cityscapes_names_match(crots, tmp_path):
    truth = write(tmp_path / "truth", **{"aachen/aachen_1_gtFine_labelIds": [[7, 26]]})
    said = write(tmp_path / "said", **{"aachen/aachen_1_leftImg8bit": [[0, 13]]})
    ran = crots(
        "evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes", "--json",
        tmp_path / "scores.json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "scores.json").read_text())["miou"] == 1.0


def test_json_to_stdout_is_all_there_is(crots, said, truth):
    ran = crots("evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes", "--json")
    assert json.loads(ran.out)["images"] == 2
    assert "mIoU" in ran.err


def test_images_may_be_given_too(crots, city):
    ran = crots(
        "evaluate", "--predictions", city / "labels" / "val", "--images", city / "images" / "val",
        "--labels", city / "labels" / "val", "--classes", "camvid", "--json",
    )  # fmt: skip
    assert json.loads(ran.out)["miou"] == 1.0


@pytest.mark.parametrize("named", [True, False])
def test_the_images_that_have_labels_are_scored_and_the_others_counted(crots, refused, city, named):
    (city / "labels" / "val" / "im1.png").unlink()
    images = city / "images" / "val"
    where = ["--images", images, "--labels", city / "labels" / "val"] if named else ["--images", city]
    words = ["evaluate", "--predictions", city / "labels" / "val", *where, "--classes", "camvid"]
    ran = crots(*words)
    assert ran.code == 0 and "1 of 2 images have no label and are not scored" in ran.out, ran
    assert "1 image on" in ran.out
    (images / "im2.png").write_bytes((images / "im1.png").read_bytes())
    assert "2 of 3 images" in refused(*words)


def test_no_torch(said, truth):
    code = (
        "import sys; from crots.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    words = ["evaluate", "--predictions", str(said), "--labels", str(truth), "--classes", "cityscapes"]
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr


def test_ids_out_of_range(refused, said, tmp_path):
    truth = write(tmp_path / "wrong", a=[[0, 99, 1, 1]], b=[[0, 0, 0, 0]])
    assert "99" in refused("evaluate", "--predictions", said, "--labels", truth, "--classes", "camvid")


def test_predictions_out_of_range(refused, truth, tmp_path):
    said = write(tmp_path / "wrong", a=[[0, 44, 1, 1]], b=[[0, 0, 0, 0]])
    line = refused("evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes")
    assert "44" in line
    assert "a.png" in line


def test_missing_prediction(refused, said, truth):
    (said / "b.png").unlink()
    assert "(b)" in refused("evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes")


def test_truncated_label(refused, said, truth):
    content = (truth / "a.png").read_bytes()
    (truth / "a.png").write_bytes(content[: len(content) // 2])
    words = ["evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes", "--encoding", "train"]
    assert "a.png" in refused(*words)


def test_labels_without_a_class_score_nothing(crots, tmp_path):
    said = write(tmp_path / "said", a=[[0, 1]])
    truth = write(tmp_path / "truth", a=[[255, 255]])
    ran = crots("evaluate", "--predictions", said, "--labels", truth, "--classes", "camvid")
    assert ["mIoU", "-"] in [line.split() for line in ran.out.splitlines()]
    assert "] warning: no pixel of them has a class" in ran.out
    ran = crots("evaluate", "--predictions", said, "--labels", truth, "--classes", "camvid", "--json")
    assert json.loads(ran.out)["miou"] is None


def test_converted_labels_are_read_as_what_they_are(crots, tmp_path):
    (tmp_path / "four.toml").write_text(
        "classes = [{name='w', ids=[1]}, {name='f', ids=[2]}, {name='d', ids=[3]}]\nignored_ids = [0]\n"
    )
    truth = write(tmp_path / "truth", a=[[0, 1, 2, 3]])
    crots("convert-labels", "--labels", truth, "--classes", tmp_path / "four.toml", "--out", tmp_path / "out")
    said = write(tmp_path / "said", a=[[0, 0, 1, 1]])
    words = ["evaluate", "--predictions", said, "--classes", tmp_path / "four.toml", "--json", "--labels"]
    scores = [json.loads(crots(*words, labels).out)["miou"] for labels in (truth, tmp_path / "out" / "label_ids")]
    assert scores[0] == scores[1] == 0.5


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--labels", "{truth}"), "--predictions DIR or --checkpoint FILE"),
        (("--predictions", "{said}"), "--labels DIR"),
        (("--checkpoint", "x.pth", "--labels", "{truth}"), "--images DIR"),
        (("--checkpoint", "x.pth", "--images", "{truth}", "--labels", "{truth}"), "x.pth"),
        (("--predictions", "nowhere", "--labels", "{truth}"), "nowhere"),
        (("--predictions", "{said}", "--labels", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use(refused, said, truth, words, part):
    filled = [word.format(said=said, truth=truth) for word in words]
    assert part in refused("evaluate", *filled, "--classes", "cityscapes")


def test_unwritable_report(crots, said, truth, tmp_path):
    (tmp_path / "file").write_text("")
    ran = crots(
        "evaluate", "--predictions", said, "--labels", truth, "--classes", "cityscapes", "--json",
        tmp_path / "file" / "scores.json",
    )  # fmt: skip
    assert ran.code == 1
    assert "cannot write" in ran.err


def test_a_checkpoint_is_scored_with_the_input_that_it_is_said_to_take(crots, refused, city, tmp_path):
    import torch

    from crots.config import Size
    from crots.nets.model import create_model
    from crots.taxonomy import load_class_set

    model = create_model("compact", load_class_set("camvid"), Size(64, 64), seed=1).eval()
    torch.save(model.net.state_dict(), tmp_path / "m.pth")
    model_words = ["--checkpoint", tmp_path / "m.pth", "--net", "compact", "--classes", "camvid", "--size", "64x64"]
    images = ["--images", city / "images" / "val"]
    score = ["evaluate", "--labels", city / "labels" / "val", "--json"]
    found = []
    for told in ([], ["--channels", "bgr", "--mean", "0", "--scale", "255"]):
        own = crots(*score, *model_words, *images, *told)
        folder = tmp_path / f"out-{len(told)}"
        assert own.code == 0 == crots("predict", *model_words, *images, *told, "--out", folder).code
        files = crots(*score, "--predictions", folder / "label_ids", "--classes", "camvid", "--encoding", "train")
        assert json.loads(own.out)["confusion"] == json.loads(files.out)["confusion"]
        found.append(json.loads(own.out)["confusion"])
    assert found[0] != found[1]
    assert "--mean: found" in refused(*score[:-1], *model_words, *images, "--mean", "grey")
