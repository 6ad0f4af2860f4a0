"""The mixing preview, by its widgets."""

import numpy as np
import pytest
import torch

from crots.config import Size
from crots.nets.model import create_model
from crots.nets.weights import save_safetensors
from crots.opening import Inputs
from crots.project_config import override
from crots_studio.models.mix_preview import STRATEGIES
from crots_studio.panels import preview
from crots_studio.panels.preview import PreviewPanel
from crots_studio.widgets.picture_layers import Content
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project


@pytest.fixture
def panel(show_panel):
    torch.set_num_threads(1)
    return show_panel(PreviewPanel, 820, 480)


@pytest.fixture
def opened(qtbot, session, panel, tmp_path, open_project):
    project = open_project(make_fake_project(tmp_path, until="pseudo-label").folder)
    qtbot.waitUntil(lambda: bool(panel.mixes), timeout=30_000)
    settle(qtbot, session, panel)
    return project


def settle(qtbot, session, panel):
    qtbot.waitUntil(lambda: not panel.due and session.errands.idle, timeout=10_000)
    qtbot.wait(20)


def changed(qtbot, session, panel, act):
    before = panel.mixes
    act()
    qtbot.waitUntil(lambda: panel.mixes is not before, timeout=10_000)
    settle(qtbot, session, panel)
    return panel.mixes


def test_without_a_project_it_says_what_to_do(panel):
    assert "project" in panel.hint.text()
    assert panel.stack.currentIndex() == 0
    assert not panel.beta.isEnabled()


def test_before_the_labels_it_says_which_stage_to_run(qtbot, session, panel, tmp_path, open_project):
    open_project(make_fake_project(tmp_path, until="").folder)
    qtbot.waitUntil(lambda: session.errands.idle)
    assert "Pseudo-labels" in panel.hint.text()
    assert not panel.another.isEnabled()


def test_three_strategies_with_image_label_and_confidence(panel, opened):
    assert [mix.strategy for mix in panel.mixes] == list(STRATEGIES)
    assert len([view for view in panel.views.views if view.isVisible()]) == 9
    assert panel.views.views[0].content.lines == panel.mixes[0].lines
    assert len(panel.mixes[0].lines) == 4 or len(panel.mixes[0].lines) > 1
    assert "this project" in panel.captions[0].text()
    assert all(caption.contentsMargins().right() >= 12 for caption in panel.captions), "sentences stand apart"


def test_names_of_rows_cover_no_picture_however_small(qtbot, panel, opened):
    panel.resize(700, 420)
    views = panel.views
    assert views.margin > 0 and all(view.x() >= views.margin for view in views.views)
    assert [view.content.title for view in views.views[::3]] == ["Image", "Label", "Confidence"]
    # A picture of one colour stays that: nothing is written over it, and so low a view has no legend.
    plain = np.full((60, 80, 3), (200, 0, 0), np.uint8)
    view = views.views[6]
    view.show_content(Content("Confidence", Size(80, 60), image=plain))
    view.resize(150, 90)
    shown = view.viewport().grab().toImage()
    colours = {shown.pixelColor(x, y).name() for x in range(35, 115, 3) for y in range(3, 87, 3)}
    assert colours == {"#c80000"}


def test_sliders_change_the_picture_and_the_seed_stays(qtbot, session, panel, opened):
    before = panel.mixes[0]
    after = changed(qtbot, session, panel, lambda: panel.beta.number.setValue(0))[0]
    assert after.caption == "split at 50% across, 50% down"
    assert after.lines != before.lines
    again = changed(qtbot, session, panel, lambda: panel.beta.number.setValue(0.25))[0]
    assert np.array_equal(again.image, before.image)


def test_the_overlay_has_its_figure_beside_it_as_elsewhere(panel, opened):
    width = panel.percent.width()
    for value in (5, 100):
        panel.opacity.setValue(value)
        assert panel.percent.text() == f"{value}%" and panel.percent.width() == width


def test_the_confidence_slider_veils_pixels(qtbot, session, panel, opened):
    mixes = changed(qtbot, session, panel, lambda: panel.confidence.number.setValue(0.8))
    veil = panel.views.views[6].content.veil
    assert veil.mean() == pytest.approx(1 - mixes[0].share)
    assert 0 < mixes[0].share < 1
    assert f"{mixes[0].share:.0%}" in panel.captions[0].text()


def test_another_one_draws_again(qtbot, session, panel, opened):
    before = panel.mixes[0]
    after = changed(qtbot, session, panel, panel.another.click)[0]
    assert not np.array_equal(before.image, after.image)


def test_augmentation_is_seen(qtbot, session, panel, opened):
    before = panel.mixes[0]
    after = changed(qtbot, session, panel, lambda: panel.augmentation.setCurrentIndex(2))[0]
    assert np.array_equal(after.labels, before.labels[:, ::-1])


def test_what_is_tried_stays_where_another_option_changes(qtbot, panel, opened, session):
    panel.confidence.number.setValue(0.9)
    session.opened.set_options({"adapt.steps": "7"})
    assert panel.confidence.value == pytest.approx(0.9)
    session.opened.set_options({"adapt.confidence": "0.5"})
    assert panel.confidence.value == pytest.approx(0.5)


def test_the_jitter_slider_is_seen_at_once(qtbot, session, panel, opened):
    weak = changed(qtbot, session, panel, lambda: panel.strength.number.setValue(0.05))[0]
    assert panel.augmentation.currentData() == "all"
    strong = changed(qtbot, session, panel, lambda: panel.strength.number.setValue(0.5))[0]
    assert not np.array_equal(weak.image, strong.image)


def test_a_moving_slider_does_not_pile_up_work(qtbot, session, panel, opened, monkeypatch):
    made = []
    monkeypatch.setattr(preview, "make_mixes", lambda *given, make=preview.make_mixes: made.append(1) or make(*given))
    for place in range(0, 200, 2):
        panel.beta.slider.setValue(place)
    settle(qtbot, session, panel)
    assert 0 < len(made) <= 3
    assert panel.settings.beta == pytest.approx(1.98)


def test_use_in_project_writes_the_options(qtbot, panel, opened, session):
    assert not panel.keep.isEnabled()
    panel.confidence.number.setValue(0.9)
    panel.beta.number.setValue(0.4)
    assert panel.keep.isEnabled()
    panel.keep.click()
    assert session.project.config.adapt.confidence == pytest.approx(0.9)
    assert session.project.config.adapt.beta == pytest.approx(0.4)
    assert session.project.config.adapt.jitter_strength == 0.25
    assert not panel.keep.isEnabled()


def test_options_changed_elsewhere_move_the_sliders(qtbot, panel, opened, session):
    import dataclasses

    config = session.project.config
    session.opened.save_config(dataclasses.replace(config, adapt=dataclasses.replace(config.adapt, confidence=0.5)))
    assert panel.confidence.value == pytest.approx(0.5)
    assert not panel.keep.isEnabled()


def test_nothing_is_computed_while_hidden(qtbot, panel, opened):
    panel.hide()
    before = panel.mixes
    panel.beta.number.setValue(1.0)
    qtbot.wait(150)
    assert panel.mixes is before
    panel.show()
    qtbot.waitUntil(lambda: panel.mixes is not before, timeout=10_000)


def test_every_control_has_a_name(panel):
    assert unnamed(panel) == []


def test_what_counts_follows_from_where_the_student_starts_as_in_a_run(qtbot, session, panel, opened):
    inputs = Inputs(opened.config, opened.folder)
    source = create_model("compact", inputs.classes, Size(32, 32))
    save_safetensors(opened.folder / "source.safetensors", source.net, source.card)
    white_box = {"source.file": "source.safetensors", "source.predictions": None, "source.confidence": None}

    def counts_as_from_the_source(weights):
        before = panel.material
        changes = {**white_box, "student.net": "compact", "student.weights": weights}
        session.opened.save_config(override(session.project.config, changes))
        qtbot.waitUntil(lambda: panel.material is not None and panel.material is not before, timeout=30_000)
        return panel.material.from_source

    assert not panel.material.from_source, "a black box"
    assert counts_as_from_the_source("source")
    assert not counts_as_from_the_source("random")
