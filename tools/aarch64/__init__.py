"""Check 64-bit Arm: that its wheels exist (``make wheels``), and predict as on x86 (``make aarch64``)."""
