"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024), for weight matrices, in float32.

torch has one too, in bfloat16, which a CPU without native support computes several times slower.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

# The quintic of Jordan et al. 2024: five rounds bring all singular values near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


class Muon:
    """Nesterov momentum, orthogonalised per matrix; matrices of one shape are done together."""

    def __init__(self, matrices: Iterable[Parameter], *, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        import torch

        self._momentum, self._decay = momentum, weight_decay
        self._shapes: dict[tuple[int, ...], list[tuple[Parameter, Tensor]]] = {}
        for matrix in matrices:
            self._shapes.setdefault(tuple(matrix.shape), []).append((matrix, torch.zeros_like(matrix)))

    def step(self, rate: float) -> None:
        """Apply and forget the gradients. `rate` times sqrt(max(1, rows / columns)) is an update's spectral norm."""
        import torch

        with torch.no_grad():
            for shape, members in self._shapes.items():
                updates = []
                for matrix, buffer in members:
                    assert matrix.grad is not None
                    buffer.mul_(self._momentum).add_(matrix.grad)
                    updates.append(matrix.grad + self._momentum * buffer)
                    matrix.grad = None
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for (matrix, _), update in zip(members, orthogonal(torch.stack(updates)), strict=True):
                    matrix.mul_(1 - rate * self._decay).add_(update, alpha=-rate * scale)


def orthogonal(stack_N_R_C: Tensor) -> Tensor:
    """Each matrix with its singular values brought near 1, between about .7 and 1.2."""
    x = stack_N_R_C.mT if stack_N_R_C.shape[1] > stack_N_R_C.shape[2] else stack_N_R_C
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    result: Tensor = x.mT if stack_N_R_C.shape[1] > stack_N_R_C.shape[2] else x
    return result
