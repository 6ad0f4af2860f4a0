"""The set-up page: fields write options, findings stand beside them, the class map is edited, paths are dropped."""

import tomllib
import warnings

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QLocale, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QLabel, QLineEdit, QMessageBox

from crots.config import Size
from crots.images import write_image
from crots.label_files import write_labels
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.project import Project
from crots.project_config import ProjectConfig, override
from crots.taxonomy import ClassSet, load_class_set
from crots_studio.dialogs.new_project import NewProjectDialog
from crots_studio.models.project_form import Finding, Offer
from crots_studio.panels.setup.class_map import ClassMapEditor
from crots_studio.panels.setup.finding_label import FindingLabel
from crots_studio.panels.setup.panel import SetupPanel
from crots_studio.runs.run import RunEnd
from tests.studio.waiting import checks_done


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "photos"
    for number in range(3):
        write_image(folder / f"{number}.png", np.full((48, 64, 3), 80, np.uint8))
    return folder


@pytest.fixture
def panel(show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel, 760, 900)
    config = override(ProjectConfig(), {"student.net": "deeplabv2_resnet18", "student.weights": "random"})
    open_project(Project.create(tmp_path / "project", config).folder)
    return panel


@pytest.fixture
def settled(qtbot, session, panel):
    """Waits until every check has a finding."""
    return lambda: checks_done(qtbot, panel)


def type_path(qtbot, field, path):
    field.edit.setFocus()
    field.edit.selectAll()
    qtbot.keyClicks(field.edit, str(path))
    qtbot.keyClick(field.edit, Qt.Key.Key_Return)


def test_a_typed_folder_is_checked_and_reported_beside_the_field(qtbot, session, panel, settled, images):
    type_path(qtbot, panel.target, images)
    assert session.project.config.data.target == images
    settled()
    label = panel.fields.findings["data.target"]
    assert label.finding.level == "good"
    assert "3 images" in label.text()
    assert label.accessibleName().endswith("OK")
    qtbot.waitUntil(lambda: Project.open(session.project.folder).config.data.target == images)


def test_typing_settles_by_itself(qtbot, session, panel, images):
    panel.target.edit.setFocus()
    qtbot.keyClicks(panel.target.edit, str(images))
    qtbot.waitUntil(lambda: session.project.config.data.target == images)


def test_a_wrong_folder_says_why_and_keeps_run_waiting(qtbot, session, panel, settled, tmp_path):
    type_path(qtbot, panel.target, tmp_path / "nowhere")
    settled()
    assert panel.fields.findings["data.target"].finding.level == "bad"
    assert "nowhere" in session.run.blocker


def test_emptying_a_field_takes_the_option_back(qtbot, session, panel, settled, images):
    type_path(qtbot, panel.target, images)
    panel.target.edit.clear()
    panel.target.edit.editingFinished.emit()
    assert session.project.config.data.target is None


def test_an_offer_is_one_click(qtbot, session, panel, settled):
    session.opened.set_options({"student.weights": ""})
    settled()
    label = panel.fields.findings["student"]
    assert label.finding.level == "bad"
    number = [offer.settings for offer in label.finding.offers].index({"student.weights": "random"})
    label.linkActivated.emit(str(number))
    assert session.project.config.student.weights == "random"


def test_the_version_of_the_images_that_was_chosen_is_offered_for_validation(qtbot, session, panel, tmp_path):
    root, picture = tmp_path / "city", np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    for split in ("train", "val"):
        frame = f"ulm_00000{len(split)}_000019"
        for beta in ("0.01", "0.02"):
            name = f"{frame}_leftImg8bit_foggy_beta_{beta}.png"
            write_image(root / "leftImg8bit_foggy" / split / "ulm" / name, picture)
        labels = np.random.default_rng(0).integers(7, 9, (48, 64)).astype(np.uint8)
        write_labels(root / "gtFine" / split / "ulm" / f"{frame}_gtFine_labelIds.png", labels)
    session.opened.set_options({"task.classes": "cityscapes"})
    type_path(qtbot, panel.target, root)

    def click(check, shown):
        label = panel.fields.findings[check]

        def place():
            return next((at for at, offer in enumerate(label.finding.offers) if shown in offer.label), None)

        qtbot.waitUntil(lambda: place() is not None, timeout=60_000)
        label.linkActivated.emit(str(place()))
        return label

    click("data.target", "cityscapes-foggy-0.02")
    label = click("validation", "Score on the 1 labelled image")
    data = session.project.config.data
    assert (data.layout, data.val_layout) == ("cityscapes-foggy-0.02",) * 2
    qtbot.waitUntil(lambda: label.finding.level == "good", timeout=60_000)
    assert label.finding.text.startswith("1 image, 1 with labels")


def test_bands_and_white_of_images_are_two_clicks(qtbot, session, panel, tmp_path):
    (tmp_path / "maps").mkdir()
    first, *others = (Image.fromarray(np.full((48, 64), share, np.float32)) for share in (0.2, 0.4, 0.6, 0.8))
    first.save(tmp_path / "maps" / "a.tif", save_all=True, append_images=others)
    type_path(qtbot, panel.target, tmp_path / "maps")
    label = panel.fields.findings["data.target"]

    def click(option, value, asked):
        qtbot.waitUntil(lambda: label.finding.level == "bad" and asked in label.text(), timeout=60_000)
        number = [dict(offer.settings) for offer in label.finding.offers].index({option: value})
        label.linkActivated.emit(str(number))

    click("data.bands", "1,2,3", "4 grey pages")
    click("data.white", "1", "floating-point values from 0.2 to 0.6")
    assert (session.project.config.data.bands, session.project.config.data.white) == ("1,2,3", 1.0)
    qtbot.waitUntil(lambda: label.finding.level in ("good", "warning"), timeout=60_000)
    assert "1 image" in label.text() and not any("data.bands" in offer.settings for offer in label.finding.offers)


def test_the_classes_that_a_source_names_become_those_of_the_target_by_one_click(qtbot, session, panel, settled):
    classes = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
    label = panel.fields.findings["task.class_map"]
    label.show_finding(Finding("bad", "they differ", offers=(Offer("use them", classes=classes),)))
    label.linkActivated.emit("0")
    assert session.project.config.task.classes == "classes-of-a-stranger.toml"
    assert load_class_set(session.project.folder / "classes-of-a-stranger.toml").names == classes.names
    settled()
    assert panel.fields.findings["task.classes"].finding.level == "good"
    qtbot.waitUntil(lambda: panel.chips.classes is not None and panel.chips.classes.names == classes.names)
    session.opened.undo()
    assert session.project.config.task.classes != "classes-of-a-stranger.toml"


def test_files_that_are_dropped_on_any_line_go_to_the_page(panel):
    """A line of Qt's own would put the address file:///... into its text, as the one of the class set did."""
    lines = panel.findChildren(QLineEdit)
    assert len(lines) > 8 and not [line.accessibleName() for line in lines if line.acceptDrops()]


def test_the_classes_keep_their_place_whatever_is_said_of_them(qtbot, session, panel, settled, images, tmp_path):
    """The hint that others can be chosen, the check itself, and the classes once a source speaks for them."""
    qtbot.waitUntil(lambda: panel.form.findings["task.classes"].level == "empty")
    label = panel.fields.findings["task.classes"]
    assert "unless you choose others" in label.text()
    settled()
    qtbot.waitUntil(panel.chips.isVisible)
    qtbot.wait(0)

    def places():
        panel.layout().activate()
        page = panel.scroll_area.widget()
        return [widget.mapTo(page, QPoint()).y() for widget in (panel.chips, panel.source_classes, panel.cards[2])]

    def laid_out():
        """The page takes its height in a later turn of the event loop; in less the cards are squeezed."""
        places()
        page = panel.scroll_area.widget()
        return page.height() >= page.layout().totalHeightForWidth(page.width())

    qtbot.waitUntil(laid_out)
    before, seen = places(), []
    found = panel.fields.findings["task.source_classes"]
    session.opened.set_options({"source.predictions": str(tmp_path)})
    assert found.finding.level == "checking" and found.isHidden(), "a line that comes and goes moves the page"
    seen.append(places())
    settled()
    qtbot.waitUntil(lambda: label.text().endswith("classes"))
    seen.append(places())
    assert seen == [before, before]


def test_the_class_map_takes_no_room_before_it_is_known_to_be_needed(qtbot, session):
    """An empty table stood there until the class sets were read, and the cards below it jumped."""
    editor = ClassMapEditor(session)
    qtbot.addWidget(editor)
    assert editor.table.isHidden() and editor.file.isHidden() and not editor.note.isHidden()


def described(path, classes):
    made = create_model("compact", classes, Size(64, 64))
    save_safetensors(path, made.net, made.card)
    return {"source.file": str(path), "student.net": "", "student.weights": ""}


def test_a_chosen_source_gives_the_target_its_classes_where_nobody_chose_any(qtbot, session, panel, settled, tmp_path):
    classes = ClassSet("of a stranger", ("street", "rest"), ((1, 2, 3), (4, 5, 6)))
    settled()
    with qtbot.waitSignal(session.notice):
        session.opened.set_options(described(tmp_path / "own.safetensors", classes))
    assert session.project.config.task.classes == "classes-of-a-stranger.toml"
    qtbot.waitUntil(lambda: panel.form.findings["task.class_map"].level == "good")
    session.opened.undo()
    qtbot.waitUntil(lambda: panel.form.findings["task.class_map"].level == "bad")
    # Once undone it is asked for, not done again.
    settled()
    assert session.project.config.task.classes == "cityscapes"
    assert panel.form.findings["task.class_map"].offers


def test_classes_that_were_chosen_are_kept_when_a_source_is(qtbot, session, panel, settled, tmp_path):
    session.opened.set_options({"task.classes": "camvid"})
    settled()
    session.opened.set_options(described(tmp_path / "own.safetensors", load_class_set("demo")))
    qtbot.waitUntil(lambda: panel.form.findings["task.class_map"].level == "bad")
    assert session.project.config.task.classes == "camvid"
    assert panel.form.findings["task.class_map"].offers[0].settings == {"task.classes": "demo"}


def test_links_take_the_colour_of_another_theme(qtbot, session):
    label = FindingLabel("Target")
    qtbot.addWidget(label)
    session.set_theme("light")
    label.show_finding(Finding("good", "found", offers=(Offer("use it", {}),)))
    label.show()
    before = label.grab().toImage()
    session.set_theme("dark")
    qtbot.wait(20)
    again = FindingLabel("Target")
    qtbot.addWidget(again)
    again.show_finding(label.finding)
    again.resize(label.size())
    again.show()
    assert label.grab().toImage() == again.grab().toImage() != before


def test_a_bad_size_is_reported_and_not_taken(qtbot, session, panel, settled, images):
    panel.size_line.setFocus()
    qtbot.keyClicks(panel.size_line, "large")
    qtbot.keyClick(panel.size_line, Qt.Key.Key_Return)
    assert session.project.config.data.size is None
    assert "expected a size like 512x256" in panel.fields.findings["data.size"].text()
    panel.size_line.selectAll()
    qtbot.keyClicks(panel.size_line, "64x32")
    qtbot.keyClick(panel.size_line, Qt.Key.Key_Return)
    assert str(session.project.config.data.size) == "64x32"


def test_a_bad_size_keeps_run_waiting_until_it_is_fixed(qtbot, session, panel, settled, images):
    def enter(words):
        panel.size_line.setFocus()
        panel.size_line.selectAll()
        qtbot.keyClicks(panel.size_line, words)
        qtbot.keyClick(panel.size_line, Qt.Key.Key_Return)

    session.opened.set_options({"data.target": str(images)})
    enter("64x32")
    settled()
    enter("large")
    panel.target.edit.setFocus()
    assert session.run.blocker.startswith("Working size: found 'large', expected")
    session.opened.set_options({"task.classes": "camvid"})
    settled()
    # It stays what it was, words and all, until somebody mends it.
    assert panel.size_line.text() == "large" and "found 'large'" in panel.fields.findings["data.size"].text()
    enter("64x32")
    settled()
    assert panel.fields.findings["data.size"].finding.level != "bad" and "large" not in session.run.blocker


def test_one_kind_of_source_at_a_time(qtbot, session, panel, settled, images):
    qtbot.mouseClick(panel.by_predictions, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert panel.predictions.isVisible() and not panel.file.isVisible()
    panel.predictions.take(str(images))
    qtbot.mouseClick(panel.by_model, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert session.project.config.source.predictions is None
    assert panel.file.isVisible() and panel.net.isVisible()


def test_the_class_map_is_proposed_edited_and_kept_in_the_project(qtbot, session, panel, settled):
    session.opened.set_options({"task.classes": "camvid", "task.source_classes": "cityscapes"})
    settled()
    assert panel.fields.findings["task.class_map"].finding.level == "bad"
    qtbot.waitUntil(panel.class_map.propose.isVisible)
    qtbot.mouseClick(panel.class_map.propose, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.project.config.task.class_map is not None)
    settled()
    assert panel.fields.findings["task.class_map"].finding.level == "good"
    chooser = panel.class_map.table.cellWidget(14, 1)
    assert chooser.accessibleName() == "Target class of truck"
    chooser.setCurrentText("ignore")
    chooser.textActivated.emit("ignore")
    file = session.project.folder / "class-map.toml"
    assert tomllib.loads(file.read_text())["truck"] == "ignore"
    settled()
    qtbot.waitUntil(lambda: "18 of 19" in panel.fields.findings["task.class_map"].text(), timeout=20_000)


def test_a_new_project_and_set_up_call_it_alike_where_there_is_no_preset(session, panel):
    dialog = NewProjectDialog(session.settings)
    assert dialog.preset.itemText(0) == panel.preset.itemText(0) == "none"
    dialog.deleteLater()


def test_a_preset_keeps_the_user_s_files(qtbot, session, panel, images, monkeypatch):
    session.opened.set_options({"data.target": str(images)})
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    index = panel.preset.findData("quick")
    panel.preset.setCurrentIndex(index)
    panel.preset.activated.emit(index)
    assert session.project.config.preset == "quick"
    assert session.project.config.data.target == images
    # Choosing "own options" changes nothing: what counts stays chosen.
    panel.preset.setCurrentIndex(0)
    panel.preset.activated.emit(0)
    assert panel.preset.currentData() == "quick"


def drop(widget, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    where, actions = QPointF(10, 10), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    with warnings.catch_warnings():
        # From Qt 6.12 on the place should be a QPointF, which earlier versions do not take.
        warnings.simplefilter("ignore", DeprecationWarning)
        enter = QDragEnterEvent(where.toPoint(), actions, data, buttons, keys)
    QApplication.sendEvent(widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(where, actions, data, buttons, keys))


def test_dropped_paths_go_where_they_belong(qtbot, session, panel, images, tmp_path):
    drop(panel, images)
    assert session.project.config.data.target == images
    found = tmp_path / "black_box" / "label_ids"
    write_labels(found / "0.png", np.zeros((48, 64), np.uint8))
    drop(panel, found)
    assert session.project.config.source.predictions == found
    assert panel.by_predictions.isChecked()
    model = tmp_path / "model.pth"
    model.write_bytes(b"x")
    drop(panel, model)
    assert session.project.config.source.file is None, "the predictions are not let go without a question"
    panel.question.accept()
    assert session.project.config.source.file == model
    assert session.project.config.source.predictions is None


def test_a_path_dropped_on_a_field_is_that_field_s(qtbot, session, panel, images):
    drop(panel.val_images, images)
    assert session.project.config.data.val_images == images


def test_networks_are_offered_once_torch_is_there(qtbot, session, panel):
    qtbot.waitUntil(lambda: panel.net.count() > 3, timeout=60_000)
    assert panel.net.currentText() == "" and "deeplabv2_resnet101" in panel.net.lineEdit().placeholderText()


def test_the_network_box_shows_what_a_file_says_of_itself(session, panel, settled, tmp_path):
    made = create_model("compact", load_class_set("demo"), Size(64, 64))
    save_safetensors(tmp_path / "model.safetensors", made.net, made.card)
    session.opened.set_options({"source.file": str(tmp_path / "model.safetensors"), "task.classes": "demo"})
    settled()
    assert (panel.net.currentText(), panel.net.lineEdit().placeholderText()) == ("", "compact")
    session.opened.set_options({"source.file": "none"})
    settled()
    assert "deeplabv2_resnet101" in panel.net.lineEdit().placeholderText()


def test_check_again_looks_at_files_that_changed(qtbot, session, panel, settled, images):
    session.opened.set_options({"data.target": str(images)})
    settled()
    write_image(images / "new.png", np.zeros((48, 64, 3), np.uint8))
    panel.check_again()
    settled()
    assert "4 images" in panel.fields.findings["data.target"].text()


def test_files_are_checked_again_after_a_run_that_failed(qtbot, session, panel, settled, images):
    session.opened.set_options({"data.target": str(images)})
    settled()
    images.rename(images.with_name("away"))
    with qtbot.waitSignal(session.opened.status_changed):
        session.run.ended.emit(RunEnd("failed", "baseline", "no such file"))
    settled()
    assert "no such" in session.run.blocker


def test_every_label_s_key_leads_to_a_field_that_takes_it(panel):
    labels = [label for label in panel.findChildren(QLabel) if "&" in label.text() and label.buddy() is not None]
    assert len(labels) > 10
    for label in labels:
        assert label.buddy().focusPolicy() != Qt.FocusPolicy.NoFocus, label.text()


def test_no_key_is_taken_twice(panel):
    found = [widget for kind in (QLabel, QAbstractButton) for widget in panel.findChildren(kind)]
    words = [widget.text() for widget in found if not isinstance(widget, FindingLabel)]
    keys = [text[text.index("&") + 1].lower() for text in words if "&" in text]
    menus = set("fervh")
    clashes = {key for key in keys if keys.count(key) > 1}
    assert not clashes
    assert not menus & set(keys)


def test_the_rail_brings_the_step_into_view(qtbot, panel):
    panel.resize(760, 300)
    qtbot.wait(20)
    bar = panel.scroll_area.verticalScrollBar()
    panel.cards[2].unfold(False)
    panel.show_stage("source")
    assert panel.cards[2].unfolded and bar.value() == min(panel.cards[2].y(), bar.maximum()) > 0
    panel.show_stage("baseline")
    assert bar.value() > 0, "no step of this page"
    panel.show_stage("target")
    assert bar.value() <= panel.cards[0].y()


def test_a_click_anywhere_in_the_list_of_class_sets_opens_it(qtbot, session, panel, settled):
    settled()
    for box in (panel.classes, panel.source_classes):
        qtbot.mouseClick(box.lineEdit(), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(box.view().isVisible)
        box.hidePopup()
        qtbot.waitUntil(lambda box=box: not box.view().isVisible())
    box = panel.source_classes
    first = box.model().index(0, 0)
    assert box.itemDelegate().displayText(first.data(), QLocale()) == "the target's"
    qtbot.keyClicks(box.lineEdit(), "cam")
    qtbot.mouseClick(box.lineEdit(), Qt.MouseButton.LeftButton)
    assert not box.view().isVisible(), "somebody types"


def test_a_class_set_of_one_s_own_is_chosen_as_a_file(qtbot, session, panel, settled, tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[[classes]]\nname = "road"\n[[classes]]\nname = "sky"\n')
    chosen = [""]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen[0], ""))
    box, before = panel.classes, panel.classes.currentText()
    last = box.count() - 1
    assert box.itemText(last) == "Choose a file ..."

    def choose():
        box.setCurrentIndex(last)
        box.activated.emit(last)

    choose()
    assert box.currentText() == before and session.project.config.task.classes == before, "the dialog was left"
    chosen[0] = str(path)
    choose()
    qtbot.waitUntil(lambda: session.project.config.task.classes == str(path))
    qtbot.waitUntil(lambda: panel.form.findings["task.classes"].level == "good")
    assert box.currentText() == str(path)


def test_a_student_of_predictions_is_not_said_to_be_the_source_s(panel):
    line = panel.student_net.lineEdit()
    assert line.placeholderText() == "the same as the source's"
    panel.by_predictions.click()
    assert line.placeholderText() == "deeplabv2_resnet101"
