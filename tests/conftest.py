"""What all tests share."""

import hypothesis
import pytest

# No test is timed: a busy machine is no fault of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def exact_arithmetic(monkeypatch):
    """Has ``precision = "auto"`` mean fp32 on every processor, as tests that compare to the last bit expect."""
    import sys

    if device := sys.modules.get("crots.execution.device"):
        monkeypatch.setattr(device, "has_amx", lambda: False)


@pytest.fixture(scope="module")
def one_thread():
    """Lets torch use one thread, which is faster for tiny networks and several tests at a time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
