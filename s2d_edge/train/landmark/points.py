"""The 68 facial landmarks of iBUG's 300-W scheme, their mirror order, and FaceMesh's vertices for them.

Points 0-16 are the jaw, 17-26 the brows, 27-35 the nose, 36-47 the eyes, 48-59 the outer lips and 60-67 the
inner ones. Right and left are the person's, so the right eye comes first and lies on the picture's left.
"""

from __future__ import annotations

POINTS = 68
JAW = slice(0, 17)
INNER = slice(17, 68)  # all but the jaw, whose points have no exact place along the outline
EYE_CORNERS = (36, 45)  # outer corners; errors are fractions of their distance

# Index of each point in the mirrored picture.
MIRROR = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # nose bridge
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46),  # left eye <- right
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),  # outer lip, upper
    *range(59, 54, -1),  # outer lip, lower
    *range(64, 59, -1),  # inner lip, upper
    *(67, 66, 65),
)

# FaceMesh's vertex at each point.
FROM_MESH = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107),  # right brow
    *(336, 296, 334, 293, 301),  # left brow
    *(168, 197, 5, 4),  # nose bridge
    *(75, 97, 2, 326, 305),  # nostrils
    *(33, 160, 158, 133, 153, 144),  # right eye
    *(362, 385, 387, 263, 373, 380),  # left eye
    *(61, 39, 37, 0, 267, 269, 291),  # outer lip, upper
    *(405, 314, 17, 84, 181),  # outer lip, lower
    *(78, 82, 13, 312, 308),  # inner lip, upper
    *(317, 14, 87),  # inner lip, lower
)
