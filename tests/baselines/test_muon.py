"""Our Muon against PyTorch's, which orthogonalises in bfloat16."""

import torch

from baselines.training.muon import Muon, orthogonalised


def weights(seed: int) -> list[torch.nn.Parameter]:
    """Wide, tall and square matrices."""
    stream = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=stream))
        for shape in [(8, 24), (8, 24), (24, 8), (16, 16)]
    ]


def test_the_same_steps_as_pytorch():
    ours, theirs = weights(0), weights(0)
    settings = {"lr": 0.1, "weight_decay": 0.01}
    optimizers = [Muon(ours, **settings), torch.optim.Muon(theirs, **settings)]
    for seed in range(1, 4):
        for mine, other, target in zip(ours, theirs, weights(seed), strict=True):
            mine.grad, other.grad = target.detach().clone(), target.detach().clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other, begun in zip(ours, theirs, weights(0), strict=True):
        moved = (other - begun).norm()
        assert moved > 0.1
        assert (mine - other).norm() < 0.02 * moved


def test_singular_values_come_close_to_one():
    stacked = torch.randn(3, 8, 24, generator=torch.Generator().manual_seed(4))
    for matrices in (stacked, stacked.mT):
        values = torch.linalg.svdvals(orthogonalised(matrices))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_a_matrix_without_gradient_stays():
    matrix, other = weights(0)[:2]
    before = other.detach().clone()
    matrix.grad = torch.ones_like(matrix)
    Muon([matrix, other], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(other, before)
