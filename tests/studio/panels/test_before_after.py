"""Before and after: models of all rounds on one image, by the panel's widgets and by a real small network."""

import json
import shutil

import numpy as np
import pytest
import torch

from crots.artefacts import LABEL_IDS
from crots.config import Size
from crots.events import StageFinished
from crots.label_files import write_labels
from crots.stages.image_scores import read_image_scores
from crots.taxonomy import load_class_set
from crots.text import points
from crots_studio.models.image_ranking import Question, read_all
from crots_studio.models.image_store import ImageStore
from crots_studio.models.predictions import ModelPrediction, Predictions, difference
from crots_studio.models.validation import wrong_pixels
from crots_studio.panels.before_after import BeforeAfterPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import CLASSES as CLASS_SET
from tests.studio.fake_project import KEYS, SIZE, make_fake_project, scene

CLASSES = load_class_set(CLASS_SET)


@pytest.fixture
def panel(show_panel):
    return show_panel(BeforeAfterPanel, 820, 480)


@pytest.fixture
def predicted(monkeypatch):
    """Models without a network: the baseline says class 1 everywhere, round 1 class 3; round 2 is broken."""
    asked = []

    def run(self, subject, image):
        asked.append((subject, image.stem))
        if subject == "adapt-2":
            raise ValueError("broken model")
        labels = np.full((SIZE.height, SIZE.width), 1 if subject == "baseline" else 3, np.uint8)
        return ModelPrediction(labels, np.full(labels.shape, 0.5, np.float32))

    monkeypatch.setattr(Predictions, "_run", run)
    return asked


def ready(qtbot, session, panel, count=4):
    qtbot.waitUntil(lambda: len(panel.predicted) + len(panel.wrong) == count, timeout=10_000)


def test_without_a_project_it_says_what_to_do(panel):
    assert "project" in panel.area.views.views[0].empty_text


def test_before_the_labels_it_says_which_stage_to_run(qtbot, session, panel, tmp_path, open_project):
    open_project(make_fake_project(tmp_path, until="").folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    assert "Pseudo-labels" in panel.area.views.views[0].empty_text


def test_source_baseline_and_rounds_side_by_side(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path).folder)
    ready(qtbot, session, panel)
    assert panel.area.shown == ["Image", "Source", "Baseline", "Round 1", "Round 2"]
    views = {view.content.title: view.content for view in panel.area.views.views if view.content}
    assert (views["Baseline"].labels == 1).all()
    assert views["Round 2: cannot be shown"].labels is None
    assert "broken model" in panel.about.text()
    assert "Baseline differs in" in panel.about.text()
    panel.area.mode.setCurrentIndex(1)
    assert panel.area.shown == ["Source", "Round 2"]


def test_the_readout_names_what_each_model_says(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path).folder)
    ready(qtbot, session, panel)
    panel.area.hovered.emit("Source", 2, 2)
    text = panel.readout.text()
    assert text.index("Source") < text.index("Baseline") < text.index("Round 1")
    assert "building" in text
    assert "road" in text


def test_predictions_are_kept_for_each_image(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path).folder)
    ready(qtbot, session, panel)
    first = panel.images.current
    panel.images.step(1)
    ready(qtbot, session, panel)
    panel.images.step(-1)
    assert panel.images.current == first
    qtbot.waitUntil(lambda: "baseline" in panel.predicted, timeout=10_000)
    ready(qtbot, session, panel)
    assert len([name for name in predicted if name[0] == "baseline"]) == 2


def test_a_new_round_appears_when_its_stage_ends(qtbot, panel, tmp_path, open_project, session, predicted):
    project = make_fake_project(tmp_path, until="mine")
    open_project(project.folder)
    ready(qtbot, session, panel, 2)
    assert "Round 1" not in panel.area.shown
    from tests.studio.fake_project import finish_stage

    finish_stage(project, "adapt-1", CLASSES)
    session.run.events_arrived.emit([StageFinished(stage="adapt-1", outcome="completed", seconds=1)])
    ready(qtbot, session, panel, 3)
    assert "Round 1" in panel.area.shown


def test_nothing_runs_while_hidden(qtbot, session, panel, tmp_path, open_project, predicted):
    panel.hide()
    open_project(make_fake_project(tmp_path).folder)
    qtbot.waitUntil(lambda: session.errands.idle and len(panel.images.labels) > 0, timeout=10_000)
    qtbot.wait(50)
    assert predicted == []
    panel.show()
    ready(qtbot, session, panel)
    assert predicted


def test_label_only_projects_say_what_is_missing(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path, until="pseudo-label").folder)
    ready(qtbot, session, panel, 1)
    assert "the stage Baseline makes the first" in panel.about.text()


def test_validation_images_stand_beside_their_labels(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path).folder)
    ready(qtbot, session, panel)
    assert panel.which.isVisible()
    panel.which.setCurrentIndex(1)
    assert panel.images.labels.keys == ("val_0", "val_1")
    qtbot.waitUntil(lambda: panel.truth is not None, timeout=10_000)
    ready(qtbot, session, panel)
    assert panel.area.shown[:2] == ["Image", "Labels (truth)"]
    labels = scene(50)[1]
    assert np.array_equal(panel.truth, labels) and np.array_equal(panel.predicted["source"].labels, labels)
    share = (labels == 1).mean()
    assert "Source 100.0%" in panel.about.text() and f"Baseline {share:.1%}" in panel.about.text()
    panel.area.hovered.emit("Source", 2, 2)
    assert panel.readout.text().index("truth") < panel.readout.text().index("Source")
    panel.which.setCurrentIndex(0)
    ready(qtbot, session, panel)
    assert "Labels (truth)" not in panel.area.shown


def test_errors_are_marked_where_there_are_labels(qtbot, session, panel, tmp_path, open_project, predicted):
    open_project(make_fake_project(tmp_path).folder)
    ready(qtbot, session, panel)
    assert not panel.errors.isVisible(), "target images have no labels"
    panel.which.setCurrentIndex(1)
    qtbot.waitUntil(lambda: panel.truth is not None, timeout=10_000)
    ready(qtbot, session, panel)
    panel.errors.click()
    labels, shown = scene(50)[1], panel.area.contents
    assert shown["Source"].labels is None and not shown["Source"].veil.any(), "the source is right everywhere"
    assert np.array_equal(shown["Baseline"].veil, labels != 1)
    panel.errors.click()
    assert panel.area.contents["Baseline"].veil is None and panel.area.contents["Baseline"].labels is not None


def order(panel):
    return [panel.images.labels.keys[index] for index in panel.images.arranged]


def figures(panel):
    return [panel.images.figure(index) for index in panel.images.arranged]


def test_validation_images_are_sorted_by_errors_gain_and_loss_of_all_classes_or_one(
    qtbot, session, panel, tmp_path, open_project, predicted
):
    project = make_fake_project(tmp_path)
    open_project(project.folder)
    ready(qtbot, session, panel)
    assert not panel.sorting.isVisible(), "target images have no scores"
    panel.which.setCurrentIndex(1)
    assert panel.sorting.isVisible() and not panel.model.isVisible()
    assert panel.images.labels.keys == ("val_0", "val_1") == tuple(order(panel))
    before, after = (read_image_scores(project.stage_folder("evaluate"), name) for name in ("source", "adapt-2"))
    panel.sort.setCurrentIndex(panel.sort.findData("worst"))
    assert panel.model.currentData() == "adapt-2" and panel.label.isVisible()
    assert order(panel) == [after.keys[place] for place in np.argsort(-after.wrong())]
    gain = after.quality() - before.quality()
    panel.sort.setCurrentIndex(panel.sort.findData("gain"))
    assert order(panel) == [after.keys[place] for place in np.argsort(-gain)]
    assert figures(panel)[0] == points(gain.max())
    panel.sort.setCurrentIndex(panel.sort.findData("loss"))
    assert order(panel) == [after.keys[place] for place in np.argsort(gain)]
    panel.label.setCurrentIndex(panel.label.findData("car"))
    car = after.quality(8) - before.quality(8)
    assert figures(panel) == [points(value).replace("-", "\u2212") for value in np.sort(car)]
    # The source has nothing to be compared with.
    panel.model.setCurrentIndex(panel.model.findData("source"))
    assert order(panel) == ["val_0", "val_1"]
    panel.which.setCurrentIndex(0)
    assert not panel.sorting.isVisible() and len(order(panel)) == len(KEYS)


def test_a_cell_lists_its_images_and_a_class_its_errors(qtbot, session, panel, tmp_path, open_project, predicted):
    project = make_fake_project(tmp_path)
    open_project(project.folder)
    ready(qtbot, session, panel)
    scores = read_image_scores(project.stage_folder("evaluate"), "baseline")
    panel.show_images(Question("baseline", "road", "car"))
    counts = scores.confused(3, 8)
    assert panel.which.currentIndex() == 1 and panel.sort.currentText() == "road predicted as car"
    assert order(panel) == [scores.keys[place] for place in np.argsort(-counts) if counts[place]]
    assert figures(panel)[0] == str(counts.max())
    panel.show_images(Question("baseline", "car"))
    assert panel.sort.currentData() == "worst" and panel.label.currentText() == "car"
    assert panel.sort.findData("cell") < 0
    assert order(panel) == [scores.keys[place] for place in np.argsort(-scores.wrong(8))]


def test_a_cell_that_is_clicked_before_all_is_read_waits_for_it(
    qtbot, session, panel, tmp_path, open_project, predicted
):
    received = []
    session.notice.connect(received.append)
    open_project(make_fake_project(tmp_path).folder)
    panel.show_images(Question("baseline", "road", "car"))
    qtbot.waitUntil(lambda: panel.which.currentIndex() == 1 and panel.sort.currentText() == "road predicted as car")
    assert not received


def test_missing_scores_by_image_are_reported(qtbot, session, panel, tmp_path, open_project, predicted):
    project = make_fake_project(tmp_path)
    shutil.rmtree(project.stage_folder("evaluate") / "images")
    open_project(project.folder)
    ready(qtbot, session, panel)
    with qtbot.waitSignal(session.notice) as said:
        panel.show_images(Question("adapt-1", "road", "car"))
    assert "Round 1" in said.args[0] and "Evaluation" in said.args[0]
    assert panel.which.currentIndex() == 0


def test_a_damaged_file_of_scores_counts_as_none(tmp_path):
    project = make_fake_project(tmp_path)
    path = project.stage_folder("evaluate") / "images" / "baseline.json"
    found = json.loads(path.read_text())
    found["images"][0]["pixels"][0][0] = 99
    path.write_text(json.dumps(found))
    assert set(read_all(project, ("source", "baseline"))) == {"source"}


def test_pixels_without_a_label_are_no_errors():
    truth, said = np.array([[1, 255], [2, 2]], np.uint8), np.array([[3, 3], [2, 1]], np.uint8)
    assert wrong_pixels(truth, said, 255).tolist() == [[True, False], [False, True]]


def test_without_validation_labels_only_target_images_are_offered(
    qtbot, session, panel, tmp_path, open_project, predicted
):
    open_project(make_fake_project(tmp_path, sections={"data": {"val_images": "none", "val_labels": "none"}}).folder)
    ready(qtbot, session, panel)
    assert not panel.which.isVisible()


def test_difference_of_label_maps():
    one, other = np.zeros((2, 2), np.uint8), np.array([[0, 1], [0, 0]], np.uint8)
    assert difference(one, other) == 0.25
    assert difference(one, np.zeros((3, 3), np.uint8)) == 0.0


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []


def test_a_real_model_predicts_as_evaluation_does(tmp_path):
    from crots.nets.model import create_model
    from crots.nets.weights import save_safetensors

    torch.set_num_threads(1)
    project = make_fake_project(tmp_path)
    model = create_model("torchvision:lraspp_mobilenet_v3_large", CLASSES, Size(*SIZE), seed=1).eval()
    save_safetensors(project.stage_folder("baseline") / "student.safetensors", model.net, model.card)
    store = ImageStore(project, CLASSES)
    predictions = Predictions(project, store)
    path = tmp_path / "target" / f"{KEYS[0]}.png"
    found = predictions.predict("baseline", KEYS[0], path)
    from crots.images import read_image

    batch = torch.from_numpy(read_image(path)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = torch.softmax(model.logits(batch), 1).max(1)
    assert np.array_equal(found.labels, expected.indices[0].numpy())
    assert np.allclose(found.confidence, expected.values[0].numpy(), atol=1e-5)
    assert predictions.predict("baseline", KEYS[0], path) is found
    save_safetensors(project.stage_folder("baseline") / "student.safetensors", model.net, model.card)
    assert predictions.predict("baseline", KEYS[0], path) is not found, "a new file is a new model"
    assert predictions.subjects() == ["source", "baseline", "adapt-1", "adapt-2"]


def test_the_source_is_shown_as_it_predicted_and_not_as_the_user_corrected_it(tmp_path):
    """Corrections stood under the name of the source, and models were said to differ from it by them."""
    project = make_fake_project(tmp_path, until="pseudo-label")
    store = ImageStore(project, CLASSES)
    predictions, path = Predictions(project, store), project.config.data.target / f"{KEYS[0]}.png"
    before = predictions.predict("source", KEYS[0], path)
    place = project.corrections_path / LABEL_IDS / f"{KEYS[0]}.png"
    write_labels(place, np.full_like(before.labels, 3))
    assert (store.maps(KEYS[0], path).labels == 3).all()
    for _ in range(2):
        found = predictions.predict("source", KEYS[0], path)
        assert np.array_equal(found.labels, before.labels) and np.array_equal(found.confidence, before.confidence)
