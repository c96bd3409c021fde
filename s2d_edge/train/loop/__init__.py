"""The training of one stage: order, step, losses, optimizer, validation."""
