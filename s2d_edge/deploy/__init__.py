"""What devices and servers take of a bundle: the script that builds an engine, and model repositories."""
