"""The list of installed networks: found by words, what each takes, and the option that is set."""

import pytest
from PySide6.QtCore import Qt

from crots.config import Size
from crots.nets.catalogue import NetFacts, installed_nets, net_facts
from crots.nets.registry import build_net
from crots_studio.models.networks import find, net_summary
from crots_studio.panels.setup.network_browser import NetworkBrowser
from crots_studio.panels.setup.panel import SetupPanel
from tests.studio.controls import unnamed
from tests.studio.fake_project import make_fake_project


def test_every_listed_name_is_one_that_can_be_asked_for():
    names = installed_nets()
    assert {"compact", "deeplabv2_resnet101", "torchvision:deeplabv3_resnet50"} <= set(names)
    assert len(set(names)) == len(names) and not [name for name in names if "<" in name]


@pytest.mark.parametrize("name", ["compact", "torchvision:lraspp_mobilenet_v3_large"])
def test_the_parameters_are_those_of_the_network(name):
    assert net_facts(name, 5).parameters == sum(tensor.numel() for tensor in build_net(name, 5).parameters())


def test_architectures_and_encoders_are_listed_where_the_package_is_installed():
    pytest.importorskip("segmentation_models_pytorch")
    assert "smp:unet/resnet18" in installed_nets()
    facts = net_facts("smp:unet/resnet18", 3)
    assert facts.family == "smp" and facts.multiple == 32 and facts.parameters > 10_000_000
    # One that computes with its weights while it is built.
    assert net_facts("smp:unet/mit_b0", 3).parameters > 1_000_000


def test_whether_it_fits_is_reported_with_both_numbers(tmp_path):
    facts = NetFacts("x", "smp", 10_000_000, 32, (tmp_path / "x.pth",))
    fine = net_summary(facts, Size(256, 128), 8_000_000_000, "memory")
    assert fine.level == "good" and "160 MB" in fine.lines[1] and "8.0 GB of memory are free" in fine.lines[1]
    assert str(tmp_path / "x.pth") in fine.lines[-1]
    tight = net_summary(facts, Size(250, 128), 200_000_000, "memory")
    assert tight.level == "warning" and tight.lines[1].startswith("may not fit")
    assert "multiples of 32" in tight.lines[2] and "the working size is 250x128" in tight.lines[2]
    misfit = net_summary(facts, Size(250, 128), 8_000_000_000, "memory")
    assert misfit.level == "warning", "a run refuses it: only patches are padded"


def test_all_words_are_looked_for():
    names = ("smp:unet/resnet50", "smp:unetplusplus/resnet18", "compact")
    assert find(names, "UNET 50") == ["smp:unet/resnet50"] and find(names, "") == list(names)
    assert find(names, "unet/resnet50") == ["smp:unet/resnet50"]


@pytest.fixture
def panel(qtbot, session, show_panel, open_project, tmp_path):
    panel = show_panel(SetupPanel, 900, 900)
    open_project(make_fake_project(tmp_path / "fake").folder)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=60_000)
    return panel


def test_a_chosen_network_becomes_the_student_s(qtbot, session, panel):
    button = panel.student_net.parentWidget().layout().itemAt(1).widget()
    assert "student" in button.accessibleName()
    button.click()
    browser = panel.fields.browser
    assert isinstance(browser, NetworkBrowser) and not unnamed(browser)
    qtbot.waitUntil(lambda: browser.list.count() > 5, timeout=60_000)
    browser.search.setText("lraspp")
    assert browser.list.count() == 1 and browser.chosen == "torchvision:lraspp_mobilenet_v3_large"
    assert browser.count.text().startswith("1 of ")
    qtbot.waitUntil(lambda: "million parameters" in browser.facts.text(), timeout=60_000)
    qtbot.keyClick(browser.search, Qt.Key.Key_Return)
    assert session.project.config.student.net == "torchvision:lraspp_mobilenet_v3_large"
    assert panel.student_net.currentText() == "torchvision:lraspp_mobilenet_v3_large"


def test_nothing_found_is_nothing_to_choose(qtbot, session, panel):
    browser = NetworkBrowser(session, "compact")
    qtbot.addWidget(browser)
    browser.show()
    qtbot.waitUntil(lambda: browser.chosen == "compact", timeout=60_000)
    browser.search.setText("no such network")
    assert browser.list.count() == 0 and not browser.buttons.buttons()[0].isEnabled()
    browser.reject()
