"""Does what a 64-bit Arm device installs exist (``make wheels``), and answer as on x86 (``make aarch64``)?"""
