"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def exact_arithmetic(monkeypatch):
    """Has ``precision = "auto"`` mean fp32 on every processor, as tests that compare to the last bit expect."""
    import sys

    if engine := sys.modules.get("crots.stages.engine"):
        monkeypatch.setattr(engine, "has_amx", lambda: False)


@pytest.fixture(scope="module")
def one_thread():
    """Lets torch use one thread, which is faster for tiny networks and several tests at a time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
