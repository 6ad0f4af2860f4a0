import json

import numpy as np
import pytest

from crots.label_files import write_confidence


@pytest.fixture
def project(crots, city, tmp_path):
    """A black-box project with pseudo-labels, the source unsure of the upper left of one image."""
    for index in range(4):
        confidence = np.full((64, 64), 0.9, np.float32)
        if index == 1:
            confidence[:30, :30] = 0.2
        write_confidence(tmp_path / "confidence" / f"im{index}.png", confidence)
    folder = tmp_path / "p"
    ran = crots(
        "init", folder, "--target", city / "images" / "train", "--predictions", city / "labels" / "train",
        "--confidence", tmp_path / "confidence", "--classes", "camvid", "--student", "compact",
        "--student-weights", "random", "--set", "data.size=64x64",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert crots("run", folder, "--until", "pseudo-label").code == 0
    return folder


def test_it_lists_images_and_regions_with_reasons(crots, project):
    ran = crots("suspects", project, "--top", "3", "--overlays", "1")
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines()]
    assert next(row[0] for row in rows if row and row[0][:2] == "im" and row[0] != "image") == "im1"
    assert "the source has low confidence" in ran.out
    assert (project / "suspicion" / "overlays" / "im1.png").exists()


def test_json_holds_the_result(crots, project):
    found = json.loads(crots("suspects", project, "--json", "--top", "1").out)["result"]
    assert [row["key"] for row in found["images"]] == ["im1"]
    assert len(found["regions"]) == 1
    assert len(json.loads((project / "suspicion" / "suspicion.json").read_text())["images"]) == 4


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--share", "0"), "--share"),
        (("--share", "nan"), "--share"),
        (("--top", "-1"), "--top"),
        (("--student", "bassline"), "baseline"),
        (("--student", "baseline"), "not done"),
    ],
)
def test_wrong_use(refused, project, words, part):
    assert part in refused("suspects", project, *words)


def test_images_go_to_a_labelling_tool_and_corrections_come_back(crots, refused, project, tmp_path):
    for tool in ("labelme", "cvat"):
        out = tmp_path / tool
        ran = crots("suspects", project, "--top", "2", "--export", out, "--tool", tool)
        assert ran.code == 0, ran.err
        assert len(list(out.rglob("*.jpg"))) == 2
        assert (out / ("im1.json" if tool == "labelme" else "JPEGImages/im1.jpg")).exists()
        assert "is not empty" in refused("suspects", project, "--export", out)
    found = json.loads((tmp_path / "labelme" / "im1.json").read_text())
    found["shapes"].append({"label": "car", "shape_type": "rectangle", "points": [[0, 0], [9, 9]]})
    (tmp_path / "labelme" / "im1.json").write_text(json.dumps(found))
    ran = crots("suspects", project, "--import", tmp_path / "labelme")
    assert ran.code == 0 and "1 of 2 images were corrected (im1)" in ran.err + ran.out
    assert (project / "corrections" / "label_ids" / "im1.png").exists()


def test_an_export_overwrites_nothing_and_lies_in_no_input(refused, project, city):
    for place in (project / "labels", city / "images" / "train" / "new"):
        refused("suspects", project, "--export", place)
        assert not place.exists()
    assert "--export" in refused("suspects", project, "--export", city / "x", "--import", city)
    assert "no such folder" in refused("suspects", project, "--import", city / "absent")
