#!/usr/bin/env python3
"""SimCLR pairs by torchvision and Pillow on one core: the peer of `remedis-train bench-input`.

usage: torchvision_pairs.py FOLDER --size PX

Decodes every JPEG file of FOLDER once and draws two views of it with SimCLR's transforms at full strength (Chen et al. 2020, appendix
A), as `Policy::SimClr` of `trainer/views` does: crop of 8 to 100 % resized bicubically, mirror, colour jitter, grey, blur, normalise.
Prints one line of JSON: {"seconds": [of the pass that is counted], "what": versions}. `remedis-train bench-input` holds this file
inside and gives it to Python on standard input.
"""

import argparse
import io
import json
import pathlib
import time

import PIL
import torch
import torchvision
import torchvision.transforms as T
from PIL import Image


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    kernel = max(asked.size // 10 // 2 * 2 + 1, 3)
    views = T.Compose([
        T.RandomResizedCrop(asked.size, scale=(0.08, 1.0), interpolation=T.InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(),
        T.RandomApply([T.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
        T.RandomGrayscale(0.2),
        T.RandomApply([T.GaussianBlur(kernel, (0.1, 2.0))], p=0.5),
        T.ToTensor(),
        T.Normalize([0.5] * 3, [0.5] * 3),
    ])
    files = [path.read_bytes() for path in sorted(asked.folder.glob("*.jpg"))]

    def once():
        start = time.perf_counter()
        for data in files:
            image = Image.open(io.BytesIO(data)).convert("RGB")
            views(image), views(image)
        return time.perf_counter() - start

    once()
    what = f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}"
    print(json.dumps({"seconds": [once()], "peak_mb": None, "what": what}))


main()
