"""Likelihood signals against softmax and one-hot vectors in float64."""

from types import SimpleNamespace

import pytest
import torch
from closeness import assert_close_vectors
from torch import nn

from vlselect.features.likelihood import CHUNK, ResponseHead, mean_signals, token_signals

pytestmark = pytest.mark.numeric


def slow_signals(logits, target):
    """Compute (nll, el2n, margin) of one prediction from the definitions."""
    p = torch.softmax(logits.double(), dim=0)
    onehot = torch.zeros_like(p)
    onehot[target] = 1
    best_other = max(float(p[k]) for k in range(len(p)) if k != target)
    return -p[target].log(), (p - onehot).norm(), p[target] - best_other


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_signals_agree_with_the_definitions(scale):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(20, 11, generator=generator)
    targets = torch.randint(0, 11, (20,), generator=generator)
    got = token_signals(logits, targets)
    for row, target, signals in zip(logits, targets, got, strict=True):
        expected = torch.tensor(slow_signals(row, target))
        assert_close_vectors(signals, expected, terms=11)


def test_nearly_sure_predictions_keep_their_digits():
    logits = torch.tensor([[40.0, 0.0, 0.0]])
    nll, el2n, margin = token_signals(logits, torch.tensor([0]))[0].tolist()
    tail = torch.tensor(-40.0, dtype=torch.float64).exp().item()
    assert nll == pytest.approx(2 * tail, rel=1e-5)
    assert el2n == pytest.approx(6**0.5 * tail, rel=1e-5)  # (−2, 1, 1)·tail
    assert margin == 1.0


def test_hopeless_predictions_stay_finite():
    logits = torch.tensor([[-1e4, 1e4, 0.0]])
    nll, el2n, margin = token_signals(logits, torch.tensor([0]))[0].tolist()
    assert (nll, margin) == (2e4, -1.0)
    assert el2n == pytest.approx(2**0.5)


def test_logits_of_the_caller_are_left_alone():
    logits = torch.randn(3, 4)
    before = logits.clone()
    token_signals(logits, torch.tensor([0, 1, 2]))
    assert torch.equal(logits, before)


def test_half_precision_is_computed_in_single():
    logits = torch.randn(5, 9).half()
    targets = torch.arange(5)
    assert torch.equal(token_signals(logits, targets), token_signals(logits.float(), targets))


def test_means_go_over_each_samples_own_tokens():
    generator = torch.Generator().manual_seed(1)
    predicted = torch.rand(6, 2 * CHUNK // 6, generator=generator) < 0.8  # more than one chunk
    count = int(predicted.sum())
    assert count > CHUNK
    logits = torch.randn(count, 5, generator=generator)
    targets = torch.randint(0, 5, (count,), generator=generator)
    got = mean_signals(logits, targets, predicted)
    start = 0
    for i in range(6):
        stop = start + int(predicted[i].sum())
        own = [slow_signals(logits[t], targets[t]) for t in range(start, stop)]
        expected = torch.tensor(own, dtype=torch.float64).mean(dim=0)
        assert_close_vectors(got[i], expected, terms=5 + stop - start)
        start = stop


def test_sample_without_response_has_nan():
    predicted = torch.tensor([[True], [False]])
    got = mean_signals(torch.randn(1, 3), torch.tensor([0]), predicted)
    assert got[0].isfinite().all() and got[1].isnan().all()


class Model(nn.Module):
    """An output layer with logit scaling, as in some language models."""

    def __init__(self):
        super().__init__()
        self.lm_head = nn.Linear(3, 5)

    def get_output_embeddings(self):
        return self.lm_head

    def forward(self, hidden):
        return 0.5 * self.lm_head(hidden)


def test_output_layer_sees_only_what_predicts_a_response():
    model, hidden = Model(), torch.randn(2, 4, 3)
    response = torch.tensor([[False, True, False, True], [True, False, True, False]])
    with torch.no_grad(), ResponseHead(model, response) as head:
        narrowed = head.logits(model(hidden))
    everything = model(hidden)  # the hook is gone
    expected = torch.stack([everything[0, 0], everything[0, 2], everything[1, 1]])
    torch.testing.assert_close(narrowed, expected)
    assert torch.equal(head.hidden, hidden)


def test_two_calls_or_a_wrong_shape_are_errors():
    model, response = Model(), torch.ones(1, 4, dtype=torch.bool)
    with ResponseHead(model, response):
        model(torch.ones(1, 4, 3))
        with pytest.raises(RuntimeError, match="one call"):
            model(torch.ones(1, 4, 3))
    with ResponseHead(model, response), pytest.raises(RuntimeError, match=r"\(1, 3, 3\)"):
        model(torch.ones(1, 3, 3))


def test_output_layer_that_was_never_called_is_an_error():
    with ResponseHead(Model(), torch.ones(1, 4, dtype=torch.bool)) as head:
        pass
    with pytest.raises(RuntimeError, match="3 response tokens"):
        head.logits(torch.ones(1, 3, 5))


def test_model_without_output_layer_is_an_error():
    model = SimpleNamespace(get_output_embeddings=lambda: None)
    with pytest.raises(ValueError, match="no output layer"):
        ResponseHead(model, torch.ones(1, 4, dtype=torch.bool))
