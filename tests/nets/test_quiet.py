"""What libraries log of their own steps does not reach the user."""

import logging

from crots.nets.quiet import onnx_export


def test_steps_of_the_exporter_are_not_heard(caplog):
    loggers = [logging.getLogger(name) for name in ("torch.export._trace", "torch.onnx")]
    levels = [logger.getEffectiveLevel() for logger in loggers]
    with onnx_export():
        loggers[0].error("always_classified is unsupported.")
        loggers[1].warning("a step")
    assert not caplog.records
    assert [logger.getEffectiveLevel() for logger in loggers] == levels
