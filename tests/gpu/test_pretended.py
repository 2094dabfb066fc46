"""The pretended GPU finds what a real one would not take."""

import pytest
import torch
from pretended_gpu import pretended_gpu

from vlselect.features import forward_pass


@pytest.fixture(autouse=True)
def pretended():
    with pretended_gpu():
        yield


def test_tensors_of_two_devices_may_not_meet():
    on_gpu, here = torch.ones(3, 4, device="cuda"), torch.ones(4, 5)
    assert on_gpu.device == torch.device("cuda", 0) and on_gpu.is_cuda
    for run in (lambda: on_gpu @ here, lambda: on_gpu + here[:, 0], lambda: here.T.mul_(on_gpu[0])):
        with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu"):
            run()
    with pytest.raises(TypeError, match="Use Tensor.cpu"):
        on_gpu.numpy()
    assert (on_gpu * torch.tensor(2.0)).cpu().sum() == 24  # a number may meet any
    assert on_gpu[torch.tensor([0])].shape == on_gpu[[1]].shape == (1, 4)  # so may indices


def test_gradients_and_hooks_are_on_it_too():
    layer, seen = torch.nn.Linear(4, 2).to("cuda"), []
    out = layer(torch.ones(3, 4, device="cuda"))
    out.register_hook(lambda g: seen.append(torch.zeros(2, device=g.device).device))
    out.sum().backward()
    assert layer.weight.grad.device == seen[0] == torch.device("cuda", 0)
    assert torch.equal(layer.weight.grad.cpu(), torch.full((2, 4), 3.0))


def test_a_tensor_that_a_pass_forgets_on_the_cpu_is_found():
    hidden, mask = torch.ones(2, 3, 4, device="cuda"), torch.ones(2, 3, device="cuda")
    assert forward_pass.last_hidden(hidden, mask).shape == (2, 4)
    with pytest.raises(RuntimeError, match="two devices"):
        forward_pass.last_hidden(hidden, mask.cpu())
