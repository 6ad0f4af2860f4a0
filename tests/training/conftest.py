"""The tests of the training loop share the tiny world of the stages."""

from tests.stages.tiny_fixtures import all_on_one_thread, classes, images, make, material  # noqa: F401
