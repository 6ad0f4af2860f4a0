import gc

import pytest


@pytest.fixture(autouse=True)
def collected_here():
    """Collects garbage in this thread alone, as the application does: timers must die where they were made."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
