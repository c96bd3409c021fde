"""The algebra of fusing: each function returns fewer or narrower layers that compute the same thing.

All of it is done in float64 and rounded once, so that a fused graph differs from the model by rounding only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Widths of fused layers are multiples of this, as the vector units of every target need for full speed.
ALIGN = 16


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def _parts(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias (out,) of a linear, float64; a missing bias is zero."""
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach().double()
    return weight, bias


def norm_then_linear(norm: nn.LayerNorm, *linears: nn.Linear) -> nn.Linear:
    """Stack linears that all read ``norm`` into one, in order, with the norm's affine folded in.

    W(γ⊙n + β) + b = (Wγ)n + (Wβ + b), where n is the normed input without affine.
    """
    gain, shift = norm.weight.detach().double(), norm.bias.detach().double()
    weights, biases = zip(*(_parts(layer) for layer in linears), strict=True)
    weight, bias = torch.cat(weights), torch.cat(biases)
    return _linear(weight * gain, weight @ shift + bias)


def split_linear(layer: nn.Linear, outputs: int) -> tuple[nn.Linear, nn.Linear]:
    """Split a linear into one of its first ``outputs`` outputs and one of the rest."""
    weight, bias = _parts(layer)
    return _linear(weight[:outputs], bias[:outputs]), _linear(weight[outputs:], bias[outputs:])


def linear_then_linear(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """Merge two linears in a row: W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂)."""
    (w1, b1), (w2, b2) = _parts(first), _parts(second)
    return _linear(w2 @ w1, w2 @ b1 + b2)


def _zero_mean_basis(rows: int, columns: int) -> Tensor:
    """(rows, columns) float64: orthonormal columns, each of mean zero, energy spread over all rows.

    A seeded random rotation: no single output channel has the range of all, which keeps INT8 errors small.
    """
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(random - random.mean(dim=0))[0]
    return basis


class LinearNormLinear(nn.Module):
    """Linear, LayerNorm, linear, with the norm taken in the few dimensions that its input spans."""

    def __init__(self, up: nn.Linear, down: nn.Linear, eps: float) -> None:
        super().__init__()
        self.up = up
        self.down = down
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out)."""
        inner = self.up(x)
        y: Tensor = self.down(F.layer_norm(inner, inner.shape[-1:], eps=self.eps))
        return y


def linear_norm_linear(first: nn.Linear, norm: nn.LayerNorm, second: nn.Linear) -> LinearNormLinear:
    """Fuse ``second(norm(first(x)))``, narrowing the inner width where ``first`` widens.

    ``first`` maps k inputs to D > k outputs, so its centred outputs C(W₁x + b₁) live in a subspace of at most
    k + 1 dimensions: C[W₁ b₁] = QR with orthonormal Q (D, r). LayerNorm only centres and divides by the
    length, and orthonormal maps keep lengths, so it may be taken on y = s·E·R[x; 1] of width m << D, where E
    (m, r) has orthonormal zero-mean columns and s = √(m/D) keeps the variance (hence epsilon) the same:

        norm(W₁x + b₁) = γ ⊙ (Q·Eᵀ/s) LN_m(y) + β.

    Where nothing is gained (m ≥ D) the inner width stays D.
    """
    w1, b1 = _parts(first)
    w2, b2 = _parts(second)
    width = w1.shape[0]
    gain, shift = norm.weight.detach().double(), norm.bias.detach().double()
    augmented = torch.cat((w1, b1[:, None]), dim=1)  # (D, k + 1)
    centred = augmented - augmented.mean(dim=0)
    rank = min(centred.shape)
    inner = -(-(rank + 1) // ALIGN) * ALIGN  # one more than the rank: the zero-mean columns need the room
    bias = w2 @ shift + b2
    if inner >= width:
        return LinearNormLinear(_linear(w1, b1), _linear(w2 * gain, bias), norm.eps)
    q, r = torch.linalg.qr(centred)
    basis = _zero_mean_basis(inner, rank)
    scale = (inner / width) ** 0.5
    into = scale * basis @ r  # (m, k + 1)
    back = (w2 * gain) @ q @ basis.T / scale  # (out, m)
    return LinearNormLinear(_linear(into[:, :-1], into[:, -1]), _linear(back, bias), norm.eps)


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every ``conv`` + ``bn`` pair below ``module`` into the convolution, in place (eval mode)."""
    for child in module.modules():
        conv, bn = getattr(child, "conv", None), getattr(child, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(bn, nn.BatchNorm2d):
            child.conv = nn.utils.fusion.fuse_conv_bn_eval(conv.double(), bn.double()).float()
            child.bn = nn.Identity()
