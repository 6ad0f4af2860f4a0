import itertools
import warnings

import pytest
import torch

from crots.errors import InputError
from crots.methods.schedule import SCHEDULES, learning_rate


def torchs(scheduler, steps, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    curve = scheduler(optimizer, **kwargs)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        curve.step()
    return rates


def test_cosine_spans_the_run_f14():
    rates = [learning_rate(step, 50, 0.01, "cosine", 3) for step in range(50)]
    assert rates == pytest.approx(torchs(torch.optim.lr_scheduler.CosineAnnealingLR, 50, T_max=50))
    assert all(first > second for first, second in itertools.pairwise(rates))


def test_poly_is_torchs():
    rates = [learning_rate(step, 40, 0.01, "poly") for step in range(40)]
    assert rates == pytest.approx(torchs(torch.optim.lr_scheduler.PolynomialLR, 40, total_iters=40, power=0.9))


def test_restarts_is_the_published_cosine_of_ten_epochs_that_rises_again_f14():
    epochs = [learning_rate(epoch * 7 + 3, 1000, 0.01, "restarts", 7) for epoch in range(35)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torchs(torch.optim.lr_scheduler.CosineAnnealingLR, 35, T_max=10)
    assert epochs == pytest.approx(expected, abs=1e-9)
    assert epochs[10] == pytest.approx(0, abs=1e-12)
    assert epochs[20] == pytest.approx(0.01)


def test_restarts_ignores_the_length_of_the_run_and_cosine_does_not_f14():
    assert learning_rate(30, 100, 1.0, "restarts", 5) == learning_rate(30, 900, 1.0, "restarts", 5)
    assert learning_rate(30, 100, 1.0, "cosine", 5) < learning_rate(30, 900, 1.0, "cosine", 5)


def test_constant_is_constant():
    assert {learning_rate(step, 10, 0.5, "constant") for step in range(10)} == {0.5}


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_every_schedule_starts_at_the_base_and_is_never_negative(kind):
    assert learning_rate(0, 1, 0.2, kind, 0) == pytest.approx(0.2)
    assert all(0 <= learning_rate(step, 10, 0.2, kind, 2) <= 0.2 for step in range(60))


def test_an_unknown_schedule_is_named():
    with pytest.raises(InputError, match="cosine"):
        learning_rate(0, 10, 0.1, "cosin")


def test_a_warm_up_rises_in_a_line_and_the_curve_spans_the_rest():
    rates = [learning_rate(step, 100, 1.0, "cosine", warm_up=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10:] == pytest.approx([learning_rate(step, 90, 1.0, "cosine") for step in range(90)])
    assert [learning_rate(step, 100, 1.0, "poly", warm_up=0.0) for step in range(100)] == pytest.approx(
        [learning_rate(step, 100, 1.0, "poly") for step in range(100)]
    )
