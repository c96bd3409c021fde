"""Tools of the maintainers: no package ships them and none imports them."""
