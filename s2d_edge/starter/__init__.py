"""The starter model: a bundle per target, and CARD.md, which says what the model is and is not for."""
