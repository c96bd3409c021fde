"""Does what a 64-bit Arm device installs exist, and does it answer as x86 does? ``make wheels`` and ``make aarch64``."""
