"""Draws the JPEG streams of runtime/imaging/src/jpeg/streams: kinds that the encoder of our tests does not write.

python jpeg_streams.py FOLDER   (Pillow 13.0 made those in the repository)
"""

import random
import sys
from pathlib import Path

from PIL import Image

KINDS = {
    "subsampled-restarts": dict(subsampling=2, restart_marker_blocks=1),
    "progressive": dict(subsampling=2, progressive=True),
    "progressive-restarts": dict(subsampling=1, progressive=True, restart_marker_blocks=7),
}

dice = random.Random(1)
picture = Image.new("RGB", (17, 33))
picture.putdata([tuple(dice.randrange(256) for _ in range(3)) for _ in range(17 * 33)])
for name, kind in KINDS.items():
    picture.save(Path(sys.argv[1]) / f"{name}.jpg", quality=30, **kind)
