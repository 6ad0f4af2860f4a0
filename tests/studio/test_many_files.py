"""A target of many files: the project is there before its files have been looked at, and one listing serves all."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from crots.data.datasets import open_dataset
from crots.files import digest, listing_digest
from crots.images import write_image
from crots.project import Project
from crots.project_config import build_config
from crots.project_status import statuses
from crots_studio.models import listing
from crots_studio.models.label_list import classes_of, read_list
from crots_studio.models.rail import LOOKING
from crots_studio.panels.rail import RailPanel

FILES = 3000


@pytest.fixture
def project(tmp_path):
    seed = tmp_path / "seed.png"
    write_image(seed, np.zeros((8, 8, 3), np.uint8))
    for number in range(FILES):
        place = tmp_path / "target" / f"part_{number % 7}" / f"{number:06}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(seed, place)
    values = {"data": {"target": str(tmp_path / "target")}, "task": {"classes": "camvid"}}
    return Project.create(tmp_path / "project", build_config(values))


def test_the_project_is_there_before_its_files_have_been_checked(qtbot, session, project, monkeypatch):
    gate = threading.Event()

    def slow(project):
        gate.wait(300)
        return statuses(project)

    monkeypatch.setattr("crots_studio.opened.statuses", slow)
    rail = RailPanel(session)
    qtbot.addWidget(rail)
    with qtbot.waitSignal(session.opened.project_changed, timeout=5000):
        session.opened.open_project(project.folder)
    assert session.opened.looking and session.opened.status == []
    assert [row.text for row in rail.rows if row.is_stage] == [LOOKING] * len(project.stage_keys())
    assert "Checking" in rail.note.text()
    assert not any(row.startable for row in rail.rows)
    gate.set()
    with qtbot.waitSignal(session.opened.status_changed, timeout=20_000):
        pass
    assert not session.opened.looking
    assert {row.key: row.state for row in rail.rows}["pseudo-label"] == "ready"
    assert "0 of" in rail.note.text()


def test_those_who_ask_at_the_same_time_share_one_listing(project, monkeypatch):
    opened = []
    real = listing.open_dataset

    def count(*args, **kwargs):
        opened.append(args)
        time.sleep(0.2)
        return real(*args, **kwargs)

    monkeypatch.setattr(listing, "open_dataset", count)
    target, found = project.path(project.config.data.target), []
    threads = [
        threading.Thread(target=lambda: found.append(listing.target_dataset(target, "auto", "train"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1 and len({id(dataset) for dataset in found}) == 1 and len(found[0]) == FILES
    # Nobody uses it any more: a file that came meanwhile is seen, though the folder's own time is the same.
    found.clear()
    os.link(target.parent / "seed.png", target / "part_0" / "one_more.png")
    assert len(listing.target_dataset(target, "auto", "train")) == FILES + 1


def test_the_list_holds_every_file_below_its_folder(project):
    labels = read_list(project, classes_of(project))
    assert len(labels) == FILES and labels.complete
    assert all(labels.path(index).is_file() for index in (0, 1234, FILES - 1))
    assert labels.files[0] == "part_0/000000.png"


def test_the_digest_of_a_long_listing_is_that_of_its_rows(tmp_path):
    for number in range(2500):
        (tmp_path / f"{number}.txt").touch()
    stats = [path.stat() for path in sorted(tmp_path.iterdir(), key=lambda path: path.name)]
    names = sorted(path.name for path in tmp_path.iterdir())
    rows = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in zip(names, stats, strict=True)]
    assert listing_digest(tmp_path) == digest(rows)
    (tmp_path / "0.txt").write_text("x")
    assert listing_digest(tmp_path) != digest(rows)
    assert listing_digest(tmp_path / "none") == digest([]) if (tmp_path / "none").mkdir() is None else False


def test_memory_grows_with_the_names_only(project):
    import tracemalloc

    # What opening a folder imports is no list.
    open_dataset(project.path(project.config.data.target))
    tracemalloc.start()
    labels = read_list(project, classes_of(project))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Two names a file with Python's 50 bytes each, and the columns.
    assert held / len(labels) < 400


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere torch is loaded as ever")
def test_torch_is_loaded_without_being_imported():
    code = (
        "import sys\n"
        "from crots_studio.background.loading import preload_torch\n"
        "assert preload_torch() and preload_torch()\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'libtorch_cpu' in open('/proc/self/maps').read()\n"
        "import torch\n"
        "assert torch.ones(2).sum() == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
