"""What all tests share."""

import gc

import hypothesis
import pytest

from tests import canary as birds

# No test is timed: a busy machine is no fault of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_finish():
    """Libraries are there to stay: a collection of garbage need not look through their million objects each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk():
    """No test outlives a power failure, and a slow disk takes seconds to write what is deleted a moment later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda number: None)
        yield


@pytest.fixture(scope="module")
def one_thread():
    """Lets torch use one thread, which is faster for tiny networks and several tests at a time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def canary(tmp_path_factory, monkeypatch):
    """A module that must not be imported, where Python finds it; the network is blocked."""
    return birds.let_in(tmp_path_factory.mktemp("canary"), monkeypatch)
