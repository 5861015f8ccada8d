"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) in float32, all matrices of
one shape at once.

`torch.optim.Muon` orthogonalises one matrix after the other, in bfloat16. On a processor that does
not multiply in it, that took a third of the time of a training step of the shipped sizes
(docs/log.md); the update is the same up to bfloat16's rounding (tested).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised; for matrices only.

    Learning rate and decay mean what they mean in `torch.optim.Muon` with its defaults: Nesterov
    momentum, and a step scaled by sqrt(max(1, rows / columns)).
    """

    def __init__(
        self,
        matrices: Iterable[torch.Tensor],
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                updates = orthogonalised(
                    torch.stack([self._momentum(m, group["momentum"]) for m in matrices])
                )
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, matrix: torch.Tensor, momentum: float) -> torch.Tensor:
        """Nesterov's: the gradient, looked at from one step further on."""
        gradient = matrix.grad
        assert gradient is not None
        buffer = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """About U V^T of each matrix's singular value decomposition, by the quintic Newton-Schulz
    iteration: (N, rows, columns) -> the same."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if is_tall else matrices
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = found @ found.mT
        found = torch.baddbmm(
            found, torch.baddbmm(square, square, square, beta=b, alpha=c), found, beta=a
        )
    return found.mT if is_tall else found
