"""Forms of a bundle for devices and servers: the script that builds a plan, and model repositories."""
