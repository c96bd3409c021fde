"""What maintainers run, beside the product: no package ships it and none imports it."""
