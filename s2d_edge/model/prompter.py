"""Multi-View Complementary Prompter (MCP): what the landmarks see, told to the ViT's tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Prompter(nn.Module):
    """L_i = W₃[φ(W₁x̂ + b₁) + W₂L̂ + b₂] + b₃ with φ(z) = z ⊙ softmax over patches(s·z).

    Equation of arXiv 2312.05447; the 1×1 convolutions of the official code are linears on tokens.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.from_tokens = nn.Linear(width, hidden)  # W₁
        self.from_prompt = nn.Linear(width, hidden)  # W₂
        self.to_prompt = nn.Linear(hidden, width)  # W₃
        self.smooth = nn.Parameter(torch.full((1,), 10.0))  # s
        for linear in (self.from_tokens, self.from_prompt, self.to_prompt):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor, prompt: Tensor) -> Tensor:
        """Normed patch tokens and normed previous prompt, both (B·T, N, D) -> the next prompt (B·T, N, D)."""
        view = self.from_tokens(tokens)  # (B·T, N, hidden)
        attended = view * torch.softmax(self.smooth * view, dim=1)
        y: Tensor = self.to_prompt(attended + self.from_prompt(prompt))
        return y
