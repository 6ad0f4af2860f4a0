import math

import pytest
import torch

from crots.methods.pseudo import entropy_of_probabilities, likeliest, merge_classes, predictions

torch.set_num_threads(1)


def some_logits():
    return torch.randn(2, 7, 5, 4, generator=torch.Generator().manual_seed(0)) * 3


def test_softmax_confidence_is_the_greatest_probability():
    logits = some_logits()
    labels, confidence = likeliest(logits)
    probability, expected = logits.softmax(1).max(1)
    assert torch.equal(labels, expected)
    torch.testing.assert_close(confidence, probability)


def test_confidence_is_the_raw_logit_when_told_f2():
    logits = some_logits() + 20
    softmax, logit = likeliest(logits, "softmax"), likeliest(logits, "logit")
    assert torch.equal(softmax.labels, logit.labels)
    assert torch.equal(logit.confidence, logits.amax(1))
    assert softmax.confidence.max() <= 1 < logit.confidence.min()


def test_half_precision_gives_float32_confidence():
    assert likeliest(some_logits().bfloat16()).confidence.dtype == torch.float32


def test_entropy_runs_from_zero_to_log_of_the_classes():
    logits = torch.zeros(2, 6, 3, 3)
    logits[1, 2] = 200.0
    torch.testing.assert_close(predictions(logits).entropy, torch.tensor([math.log(6), 0.0]))


def test_predictions_have_the_labels_and_confidence_of_the_likeliest_classes():
    logits = some_logits()
    labels, confidence = likeliest(logits)
    found = predictions(logits)
    assert torch.equal(found.labels, labels) and torch.equal(found.confidence, confidence)


def test_both_entropies_agree_with_the_definition():
    probabilities = some_logits().softmax(1)
    expected = torch.distributions.Categorical(probs=probabilities.movedim(1, -1)).entropy().mean((1, 2))
    torch.testing.assert_close(predictions(some_logits()).entropy, expected)
    torch.testing.assert_close(entropy_of_probabilities(probabilities), expected)
    assert entropy_of_probabilities(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)).item() == 0


def test_the_sum_of_logits_is_more_confident_than_their_mean():
    logits = some_logits()
    assert (predictions(2 * logits).entropy < predictions(logits).entropy).all()


def test_merged_classes_sum_their_probabilities():
    # Source: wall, building, car, sky -> target: building (wall too), car; sky is ignored.
    matrix = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    pixels = torch.tensor([[0.3, 0.3, 0.4, 0.0], [0.1, 0.1, 0.2, 0.6], [0.0, 0.0, 0.9, 0.1]])
    merged = merge_classes(pixels.T.reshape(1, 4, 1, 3), matrix, ignore=255)
    assert merged.labels.tolist() == [[[0, 255, 1]]]
    torch.testing.assert_close(merged.confidence, torch.tensor([[[0.6, 0.0, 0.9]]]))
    torch.testing.assert_close(merged.probabilities[0, :, 0].T, torch.tensor([[0.6, 0.4], [0.2, 0.2], [0.0, 0.9]]))


@pytest.mark.parametrize("ignore", [255, 65535])
def test_an_identity_map_changes_nothing(ignore):
    probabilities = some_logits().softmax(1)
    matrix = torch.cat([torch.eye(7), torch.zeros(7, 1)], dim=1)
    merged = merge_classes(probabilities, matrix, ignore)
    torch.testing.assert_close(merged.probabilities, probabilities)
    assert torch.equal(merged.labels, probabilities.argmax(1))
