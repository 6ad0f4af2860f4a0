"""The dialog that applies a model: what it refuses, progress, stopping, and a real model on images and a video."""

import dataclasses
import threading

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication

from crots.config import Size
from crots.errors import InputError
from crots.events import Note, Progress, StageFinished, StageStarted
from crots.images import write_image
from crots.label_files import read_labels, write_confidence, write_labels
from crots.options import PredictOptions
from crots_studio.dialogs import apply as module
from crots_studio.dialogs.apply import ApplyDialog
from crots_studio.models.applying import FOLDER, ApplyForm, apply_events, free_folder, models
from crots_studio.models.words import command_text
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def fake(tmp_path):
    return make_fake_project(tmp_path / "fake")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "new images"
    for name in ("a", "b", "c"):
        write_image(folder / f"{name}.png", np.full((30, 40, 3), 90, np.uint8))
    return folder


@pytest.fixture
def dialog(qtbot, open_project, session, fake):
    open_project(fake.folder)
    dialog = ApplyDialog(session)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def form(project, images, out, **options):
    return ApplyForm(project, models(project)[0], images, out, PredictOptions(**options))


def test_the_models_of_the_stages_and_the_exported_ones_are_offered(dialog, fake):
    titles = [dialog.model.itemText(row) for row in range(dialog.model.count())]
    assert titles[0] == "Round 2, student" and "Baseline, student" in titles
    assert [title for title in titles if title.startswith("Export")] == ["Export, adapted.safetensors"]
    assert "11 classes (camvid)" in dialog.summary.text()
    assert not unnamed(dialog)


def test_the_stage_that_was_asked_for_is_chosen(qtbot, session, dialog):
    second = ApplyDialog(session, stage="baseline")
    qtbot.addWidget(second)
    assert second.model.currentText() == "Baseline, student"


def test_a_form_without_images_only_asks_for_them(dialog, images):
    assert not dialog.buttons.start.isEnabled()
    assert "Choose a folder of images" in dialog.problem.text() and dialog.problem.property("role") == "muted"
    dialog.images.take(str(images))
    assert dialog.buttons.start.isEnabled() and dialog.problem.text() == ""
    assert dialog.out.text.endswith("new images")


def test_what_cannot_work_is_reported_beside_the_field(fake, images, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    outside = tmp_path / "out"
    problems = (
        (form(fake, tmp_path / "nowhere", outside), "does not exist"),
        (form(fake, images, None), "folder for the results"),
        (form(fake, images, full), "not empty"),
        (form(fake, images, full / "mine.txt"), "is a file"),
        (form(fake, images, images / "results"), "lies among the images"),
        (form(fake, images, fake.folder / "evaluation"), "not empty"),
        (form(fake, images, fake.folder / "adapt-9"), "belongs to the stages"),
        (form(fake, images, outside, ids=False, colour=False, overlay=False), "at least one thing"),
        (ApplyForm(fake, None, images, outside, PredictOptions()), "run the baseline first"),
    )
    for wrong, words in problems:
        assert words in wrong.problem()
        with pytest.raises(InputError, match=words):
            list(apply_events(wrong, None))
    assert form(fake, images, outside).problem() == ""
    assert form(fake, images, fake.folder / FOLDER / "x").problem() == ""


def test_a_folder_that_is_there_is_never_proposed(fake, images):
    first = free_folder(fake, images)
    first.mkdir(parents=True)
    assert free_folder(fake, images) != first and not free_folder(fake, images).exists()


def test_the_command_says_the_same(qtbot, dialog, fake, images):
    dialog.images.take(str(images))
    dialog.results["colour"].setChecked(False)
    dialog.flip.setChecked(True)
    dialog.buttons.copy_command.click()
    words = ["crots", "predict", "--checkpoint", str(models(fake)[0].path), "--images", str(images)]
    words += ["--out", dialog.out.text, "--flip", "--no-colour"]
    assert QGuiApplication.clipboard().text() == command_text(words)


def test_progress_is_shown_and_the_results_can_be_opened(qtbot, monkeypatch, dialog, images):
    go_on = threading.Event()

    def events(form, control, device):
        yield StageStarted(stage="predict", total=40, unit="images")
        yield Progress(stage="predict", done=5, total=40, time=100.0)
        yield Progress(stage="predict", done=10, total=40, time=105.0)
        go_on.wait(300)
        form.out.mkdir(parents=True)
        yield Progress(stage="predict", done=40, total=40, rate=5.0)
        yield Note(stage="predict", level="warning", text="1 unreadable image is left out")
        yield StageFinished(stage="predict", outcome="completed", seconds=1)

    monkeypatch.setattr(module, "apply_events", events)
    dialog.images.take(str(images))
    out = dialog.form.out
    dialog.buttons.start.click()
    assert dialog.running and not dialog.buttons.start.isEnabled() and not dialog.images.isEnabled()
    qtbot.waitUntil(lambda: "10 of 40 images, 1 s per image, 30 s left" in dialog.problem.text())
    assert dialog.progress.isVisible() and dialog.progress.value() == 10
    go_on.set()
    qtbot.waitUntil(lambda: not dialog.running)
    assert dialog.problem.text() == f"40 images written to {out}\n1 unreadable image is left out"
    # The next results get a folder of their own.
    assert dialog.form.out != out
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    dialog.buttons.open_folder.click()
    assert opened == [QUrl.fromLocalFile(str(out))]


def test_stop_keeps_what_is_written_and_the_dialog_open(qtbot, monkeypatch, dialog, images):
    def events(form, control, device):
        form.out.mkdir(parents=True)
        yield Progress(stage="predict", done=3, total=40)
        while not control.stopping:
            pass
        yield StageFinished(stage="predict", outcome="cancelled", seconds=1)

    monkeypatch.setattr(module, "apply_events", events)
    dialog.images.take(str(images))
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: "3 of 40" in dialog.problem.text())
    assert dialog.buttons.close_button.text() == "&Stop"
    dialog.buttons.close_button.click()
    qtbot.waitUntil(lambda: not dialog.running)
    assert dialog.isVisible() and dialog.problem.text().startswith("Stopped after 3 images; they are in ")
    dialog.buttons.close_button.click()
    assert not dialog.isVisible()


@pytest.mark.parametrize("fails", [False, True])
def test_the_keyboard_goes_on_where_the_user_does(qtbot, monkeypatch, dialog, images, fails):
    """It was on Copy command, which came next when Apply was disabled."""
    going = threading.Event()

    def events(form, control, *, device=""):
        going.wait(10)
        if fails:
            raise InputError("no room")
        yield StageStarted(stage="predict", total=1)
        yield StageFinished(stage="predict", outcome="completed", seconds=1)

    monkeypatch.setattr(module, "apply_events", events)
    qtbot.waitUntil(dialog.isActiveWindow)
    assert dialog.images.edit.hasFocus()
    dialog.images.take(str(images))
    qtbot.keyClick(dialog.images.edit, Qt.Key.Key_Return)
    assert dialog.running and dialog.hasFocus()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.running, "Return that is pressed twice does not stop it"
    going.set()
    qtbot.waitUntil(lambda: not dialog.running)
    assert (dialog.buttons.start if fails else dialog.buttons.close_button).hasFocus()


def test_a_failure_is_reported_in_words(qtbot, monkeypatch, dialog, images):
    def events(form, control, device):
        yield StageFinished(stage="predict", outcome="failed", seconds=1, message="the disk is full")

    monkeypatch.setattr(module, "apply_events", events)
    dialog.images.take(str(images))
    dialog.buttons.start.click()
    qtbot.waitUntil(lambda: not dialog.running)
    assert dialog.problem.text() == "the disk is full" and dialog.problem.property("role") == "bad"
    assert not dialog.buttons.open_folder.isEnabled()


def test_a_real_model_labels_images_and_the_frames_of_a_video(fake, images, tmp_path):
    from crots.execution.control import Control
    from crots.nets.model import create_model
    from crots.nets.weights import save_safetensors
    from crots.taxonomy import load_class_set

    model = create_model("compact", load_class_set("camvid"), Size(64, 48), seed=0)
    save_safetensors(models(fake)[0].path, model.net, model.card)
    out = tmp_path / "out"
    events = list(apply_events(form(fake, images, out), Control(), device="cpu"))
    assert events[-1].outcome == "completed", events[-1]
    assert sorted(path.name for path in (out / "label_ids").iterdir()) == ["a.png", "b.png", "c.png"]
    assert read_labels(out / "label_ids" / "a.png").shape == (30, 40)
    film = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for shade in (0, 60, 120):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    events = list(apply_events(form(fake, film, tmp_path / "film", ids=False), Control(), device="cpu"))
    assert events[-1].outcome == "completed", events[-1]
    assert (tmp_path / "film" / "overlay.mp4").is_file() and not (tmp_path / "film" / "label_ids").exists()


@pytest.fixture
def black_box(tmp_path):
    """A project whose source are predictions, and the folder of its predictions of the new images: all car."""
    sections = {
        "source": {"file": None, "predictions": str(tmp_path / "said"), "encoding": "train"},
        "task": {"source_classes": "cityscapes"},
    }
    sections["task"]["class_map"] = "cityscapes-to-camvid"
    for name in ("a", "b", "c"):
        write_labels(tmp_path / "new" / "label_ids" / f"{name}.png", np.full((30, 40), 13, np.uint8))
        write_confidence(tmp_path / "new" / "confidence" / f"{name}.png", np.ones((30, 40), np.float32))
    return make_fake_project(tmp_path / "black", sections=sections), tmp_path / "new"


def test_a_black_box_may_label_beside_its_student(qtbot, open_project, session, black_box, images, tmp_path):
    model = {"source": {"file": "m.safetensors", "predictions": None}}
    open_project(make_fake_project(tmp_path / "white", sections=model).folder)
    first = ApplyDialog(session)
    qtbot.addWidget(first)
    assert not first.black_box, "a source model needs no predictions"
    project, said = black_box
    open_project(project.folder)
    second = ApplyDialog(session)
    qtbot.addWidget(second)
    second.show()
    second.images.take(str(images))
    predictions, confidence = second.black_box
    assert second.form.problem() == "" and "--predictions" not in second.form.command()
    confidence.take(str(said / "confidence"))
    assert "Choose the predictions" in second.problem.text() and not second.buttons.start.isEnabled()
    predictions.take(str(said / "nowhere"))
    assert "is not a folder" in second.problem.text()
    predictions.take(str(said))
    assert second.buttons.start.isEnabled() and not unnamed(second)
    words = ["--predictions", str(said), "--confidence", str(said / "confidence"), "--predictions-encoding", "train"]
    words += ["--source-classes", "cityscapes", "--class-map", "cityscapes-to-camvid"]
    assert command_text(words) in second.form.command()


def test_a_real_model_and_its_black_box_label_together(black_box, images, tmp_path):
    from crots.execution.control import Control
    from crots.nets.model import create_model
    from crots.nets.weights import save_safetensors
    from crots.taxonomy import load_class_set

    project, said = black_box
    model = create_model("compact", load_class_set("camvid"), Size(64, 48), seed=0)
    save_safetensors(models(project)[0].path, model.net, model.card)
    chosen = dataclasses.replace(form(project, images, tmp_path / "out"), predictions=said)
    events = list(apply_events(chosen, Control(), device="cpu"))
    assert events[-1].outcome == "completed", events[-1]
    # The black box is certain of car, 13 of Cityscapes and 8 of CamVid.
    assert all((read_labels(path) == 8).all() for path in (tmp_path / "out" / "label_ids").iterdir())


def test_the_rail_and_the_menu_open_it(ready, monkeypatch):
    asked = []
    monkeypatch.setattr(ready.project_actions, "open_dialog", lambda *words, **more: asked.append((words, more)))
    assert ready.menus.actions["Apply a model"].isEnabled()
    ready.menus.actions["Apply a model"].trigger()
    ready.rail.apply_wanted.emit("baseline")
    assert asked == [(("apply", "ApplyDialog"), {"stage": ""}), (("apply", "ApplyDialog"), {"stage": "baseline"})]
