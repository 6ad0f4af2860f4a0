import errno
import os
import shutil
import sys
from pathlib import Path

import pytest

from crots.errors import InputError, StageError
from crots.files import (
    atomic_path,
    content_digest,
    digest,
    exists,
    expanded,
    explained,
    files_below,
    identity,
    listing_digest,
    machine_fault,
    make_folder,
    out_of_memory,
    remove_partials,
    write_json,
    write_text,
)
from crots.images import image_size, read_image

pytestmark = pytest.mark.safety


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as partial:
        partial.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EIO, "does not respond"),
    ],
)
def test_the_reason_of_a_failed_write_is_reported(tmp_path, number, part):
    with pytest.raises(StageError, match=part), atomic_path(tmp_path / "a.png"):
        raise OSError(number, os.strerror(number))


def test_a_missing_drive_is_reported(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "no such file")

    monkeypatch.setattr("pathlib.Path.mkdir", fail)
    with pytest.raises(StageError, match="no such drive or folder"):
        make_folder(tmp_path / "a")


def test_it_is_reported_too_where_not_even_the_debris_can_be_removed(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StageError, match="read-only"), atomic_path(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_folder_in_the_way_of_a_file_is_reported(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(StageError, match="a file, not a folder"):
        make_folder(tmp_path / "a" / "b")


def test_partials_are_hidden_keep_their_suffix_and_are_swept(tmp_path):
    with atomic_path(tmp_path / "x.png") as partial:
        partial.write_bytes(b"1")
        assert partial.name.startswith(".") and partial.suffix == ".png"
        (tmp_path / "sub").mkdir()
        left = tmp_path / "sub" / partial.name
        left.write_bytes(b"half")
    mine = tmp_path / "mine.partial.png"
    mine.write_bytes(b"a user's own")
    remove_partials(tmp_path)
    assert not left.exists() and mine.exists() and (tmp_path / "x.png").exists()


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".txt")
    write_text(path, "x", durable=True)
    assert path.read_text() == "x"


@pytest.mark.parametrize("name", [".DS_Store", "._1.png", "Thumbs.db", "x/desktop.ini"])
def test_listing_digest_ignores_what_viewers_leave(tmp_path, name):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.png").write_bytes(b"1")
    before = listing_digest(tmp_path)
    (tmp_path / name).write_bytes(b"left")
    assert listing_digest(tmp_path) == before


def test_listing_digest_sees_a_changed_file_and_not_a_moved_folder(tmp_path):
    folder = tmp_path / "a"
    write_json(folder / "x" / "1.json", 1)
    before = listing_digest(folder)
    folder.rename(tmp_path / "b")
    assert listing_digest(tmp_path / "b") == before
    write_json(tmp_path / "b" / "x" / "1.json", 12)
    assert listing_digest(tmp_path / "b") != before
    assert listing_digest(tmp_path / "b", without=tmp_path / "b" / "x") == digest([])


def test_a_path_that_nobody_can_look_at_is_not_there(tmp_path):
    assert exists(tmp_path) and not exists(tmp_path / "no") and not exists(tmp_path / ("a" * 5000))
    # Of a user that there is not: as it stands, so that the message names what was typed.
    assert expanded("~nobody_of_this_name/x") == Path("~nobody_of_this_name/x")
    assert expanded("~/x") == Path.home() / "x"


def test_where_readers_keep_a_file_from_being_replaced_it_is_tried_again(tmp_path, monkeypatch):
    path, calls, replace = tmp_path / "a.txt", [], Path.replace

    def busy(self, target):
        calls.append(target)
        if len(calls) < 4:
            raise PermissionError(errno.EACCES, "used by another process")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr(sys, "platform", "win32")
    write_text(path, "new")
    assert path.read_text() == "new" and len(calls) == 4
    calls.clear()
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(StageError, match="no permission"):
        write_text(path, "newer")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named_by_whatever_a_library_raises(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("crots.files.shutil.disk_usage", lambda path: usage._replace(free=100))
    for raised in (RuntimeError("unexpected pos 64 vs 0"), OSError("1024 requested and 0 written"), ValueError("I/O")):
        with pytest.raises(StageError, match="the disk is full"), atomic_path(tmp_path / "x.bin") as partial:
            partial.write_bytes(b"part")
            raise raised
        assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="ours"), explained(tmp_path / "x.bin"):
        raise InputError("ours")
    monkeypatch.setattr("crots.files.shutil.disk_usage", lambda path: usage._replace(free=10**9))
    with pytest.raises(StageError, match="the disk is full"), explained(tmp_path / "x.bin"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    number = 223 if sys.platform == "win32" else errno.EFBIG
    # As safetensors words it today, and as it did in 0.4.
    for words in (f"File too large (os error {number})", f"IoError(Os {{ code: {number}, kind: FileTooLarge"):
        with pytest.raises(StageError, match="the file is too large"), explained(tmp_path / "x.bin"):
            raise RuntimeError(f"Error while serializing: {words}")
    with pytest.raises(RuntimeError, match="another"), explained(tmp_path / "x.bin"):
        raise RuntimeError("another")


def test_a_folder_that_goes_during_a_write_is_named_and_no_temporary_file(tmp_path):
    path = tmp_path / "unfinished" / "checkpoint.pt"
    says = r"cannot write .*checkpoint\.pt: the folder .*unfinished has gone"
    with pytest.raises(StageError, match=says) as raised, atomic_path(path) as partial:
        partial.write_bytes(b"x")
        shutil.rmtree(path.parent)
    assert "partial" not in str(raised.value)


@pytest.mark.parametrize("walk", [lambda path: list(files_below(path)), listing_digest, content_digest])
def test_the_whole_disk_is_not_walked_under_any_name(tmp_path, monkeypatch, walk):
    """Here ``disk`` stands for it."""
    (tmp_path / "disk" / "images").mkdir(parents=True)
    monkeypatch.setattr("crots.files._system_root", lambda: identity(str(tmp_path / "disk")))
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "link").symlink_to(tmp_path / "disk", target_is_directory=True)
    for path in (tmp_path / "disk", tmp_path / "target", tmp_path):
        with pytest.raises(InputError, match="root of the system's disk"):
            walk(path)
    walk(tmp_path / "disk" / "images")


def test_the_systems_disk_is_known():
    with pytest.raises(InputError, match="root of the system's disk"):
        next(files_below(Path(Path.home().anchor)))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EMFILE, "Too many open files", "x"), "too many files are open"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "x"), "its symbolic links form a loop"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (OSError(errno.EBUSY, "Device or resource busy", "x"), "another program uses it"),
        (OSError(errno.EIO, "Input/output error", "x"), "the disk does not respond"),
        (FileNotFoundError(errno.ENOENT, "No such file", "gone.png"), "gone.png: no such file or folder; if it"),
        (ImportError("libtorch_cuda.so: failed to map segment from shared object"), "out of memory while libraries"),
        (ImportError("libcudart.so.12: cannot open shared object file: No such file"), "a library does not load"),
        (ImportError("DLL load failed while importing _C"), "a library does not load"),
        (ImportError("cannot import name 'x' from 'crots'"), ""),
        (FileNotFoundError(errno.ENOENT, "No such file"), ""),
        (KeyError("ours"), ""),
    ],
)  # fmt: skip
def test_errors_of_the_machine_are_explained(error, text):
    message = machine_fault(error)
    assert text in message if text else not message


def test_a_folder_without_permission_is_named_instead_of_what_was_looked_for_in_it(tmp_path, monkeypatch):
    closed, access = tmp_path / "photos", os.access
    closed.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    looked_for = str(closed / "leftImg8bit" / "train")
    message = machine_fault(PermissionError(errno.EACCES, "Permission denied", looked_for))
    assert message.startswith(f"cannot read or write {closed}: no permission there")
    elsewhere = machine_fault(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "x" / "y")))
    assert f"{tmp_path / 'x' / 'y'}: no permission there" in elsewhere


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted there")
def test_a_missing_current_folder_is_explained(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    (tmp_path / "x").rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        Path("a").absolute()
    assert "current folder no longer exists" in machine_fault(raised.value)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("message", "ran_out"),
    [("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes", True),
     ("CUDA error: out of memory", True), ("Unable to allocate 8.00 EiB for an array", True),
     ("sizes of tensors must match", False)],
)  # fmt: skip
def test_out_of_memory_errors_are_recognised_by_their_message(message, ran_out):
    assert out_of_memory(RuntimeError(message)) == ran_out


@pytest.mark.skipif(sys.platform == "win32", reason="links of Unix")
def test_an_image_that_is_a_link_to_itself_is_no_error(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "a.jpg")
    for read in (read_image, image_size):
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path / "a.jpg")
