"""Both graphs on the same clips: predictions, times, and the drop between them."""
