"""The line for a path with its dialog."""

import pytest
from PySide6.QtWidgets import QFileDialog

from crots.folders import CONFIG, WEIGHTS
from crots_studio.widgets.path_field import PathField


@pytest.mark.parametrize("saved", [True, False])
def test_a_file_of_a_saved_model_stands_for_its_folder(qtbot, settings, tmp_path, monkeypatch, saved):
    """Hugging Face models are folders, which a dialog for files does not let anybody choose."""
    field = PathField("Model file", "file", settings)
    qtbot.addWidget(field)
    (tmp_path / WEIGHTS).write_bytes(b"")
    if saved:
        (tmp_path / CONFIG).write_text("{}")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / WEIGHTS), ""))
    field.button.click()
    assert field.text == str(tmp_path if saved else tmp_path / WEIGHTS)
