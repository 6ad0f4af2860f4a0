"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def exact_arithmetic(monkeypatch):
    """Has ``precision = "auto"`` mean fp32 on every processor, as tests that compare to the last bit expect."""
    import sys

    if engine := sys.modules.get("crots.stages.engine"):
        monkeypatch.setattr(engine, "has_amx", lambda: False)
