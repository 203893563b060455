#!/usr/bin/env python3
"""Reference pictures of every transform, by other people's code where there is any: what trainer/views/tests/reference.rs is held to.

usage: views_reference.py FOLDER      (trainer/views/tests/reference; needs numpy, scipy, Pillow and scikit-image)

The picture is drawn here, so that no data are copied: 48 x 40, smooth waves of colour under a disc and a bar, 8 bits. Transforms take
fixed parameters, which the Rust test repeats. Where a definition is our own (elastic), it is computed here in another way:
scipy's splines and interpolation in double precision.
"""

import colorsys
import json
import pathlib
import sys

import numpy as np
import PIL
import scipy
import scipy.ndimage as ndi
import skimage
from PIL import Image
from skimage.color import hed2rgb, rgb2hed

WIDTH, HEIGHT = 48, 40


def picture():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(x / 5.0) + np.cos(y / 7.0), np.sin((x + y) / 6.0), np.cos((x - 2 * y) / 9.0)]
    colours = np.stack([150 + 40 * waves[0], 110 + 70 * waves[1], 160 + 60 * waves[2]], axis=-1)
    colours[(x - 30) ** 2 + (y - 14) ** 2 < 60] = [90, 30, 120]
    colours[28:32, 6:34] = [235, 190, 220]
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def to_bytes(values):
    return np.clip(np.floor(values * 255 + 0.5), 0, 255).astype(np.uint8)


def each(rgb, change):
    return np.array([[change(*pixel) for pixel in row] for row in rgb])


def saturate(r, g, b, factor):
    h, s, v = colorsys.rgb_to_hsv(r, g, b)
    return colorsys.hsv_to_rgb(h, min(s * factor, 1.0), v)


def turn(r, g, b, turns):
    h, s, v = colorsys.rgb_to_hsv(r, g, b)
    return colorsys.hsv_to_rgb((h + turns) % 1.0, s, v)


def equalise(image):
    """REMEDIS, data_util.py: on luminance, round((cdf - min) * 255 / (pixels - min)); colours follow their luminance."""
    luma = (image.astype(int) @ [77, 150, 29] + 128) >> 8
    counts = np.bincount(luma.ravel(), minlength=256)
    cdf = counts.cumsum()
    lowest = cdf[counts > 0][0]
    table = np.floor((cdf - lowest).clip(0) * 255 / (luma.size - lowest) + 0.5).astype(int)
    return np.clip(image.astype(int) + (table[luma] - luma)[..., None], 0, 255).astype(np.uint8)


def sample(image, x, y):
    """Bilinear at pixel coordinates, mirrored beyond the edge."""
    planes = [ndi.map_coordinates(image[..., c].astype(float), [y, x], order=1, mode="reflect") for c in range(3)]
    return to_bytes(np.stack(planes, axis=-1) / 255)


def rotated(image, degrees):
    """Clockwise about the middle."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    dx, dy = x + 0.5 - WIDTH / 2, y + 0.5 - HEIGHT / 2
    sin, cos = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return sample(image, WIDTH / 2 + cos * dx + sin * dy - 0.5, HEIGHT / 2 - sin * dx + cos * dy - 0.5)


def elastic(image, moves):
    """Uniform cubic B-spline over 7 x 7 control points, the second to the fifth of which span the picture."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    at = [(y + 0.5) / HEIGHT * 4 + 1, (x + 0.5) / WIDTH * 4 + 1]
    move = [ndi.map_coordinates(moves[..., axis], at, order=3, prefilter=False, mode="nearest") for axis in (0, 1)]
    return sample(image, x + move[0], y + move[1])


def main():
    folder = pathlib.Path(sys.argv[1])
    image = picture()
    unit = image / 255.0
    grid = np.array([[[2.5 * np.sin(3 * i + 5 * j), 2.5 * np.cos(4 * i - 2 * j)] for j in range(7)] for i in range(7)])
    pil = Image.fromarray(image)
    dyes = np.maximum(rgb2hed(unit), 0) * [1.1, 0.92, 1.05] + [0.01, -0.02, 0.015]
    mean = unit.mean(axis=(0, 1), keepdims=True)
    grey = unit @ [0.2989, 0.587, 0.114]
    blurred = [ndi.gaussian_filter(unit[..., c], 0.5, mode="nearest", radius=2) for c in range(3)]
    pictures = {
        "picture": image,
        "crop": np.asarray(pil.resize((24, 20), Image.BICUBIC, box=(5.5, 3.25, 41.5, 33.25))),
        "crop_enlarged": np.asarray(pil.resize((48, 40), Image.BICUBIC, box=(10, 8, 34, 28))),
        "flip": image[:, ::-1],
        "rotation": rotated(image, 25),
        "brightness": to_bytes(np.clip(unit * 1.3, 0, 1)),
        "contrast": to_bytes(np.clip((unit - mean) * 1.6 + mean, 0, 1)),
        "saturation": to_bytes(each(unit, lambda r, g, b: saturate(r, g, b, 1.7))),
        "hue": to_bytes(each(unit, lambda r, g, b: turn(r, g, b, -0.15))),
        "grey": to_bytes(np.repeat(grey[..., None], 3, axis=-1)),
        "blur": to_bytes(np.stack(blurred, axis=-1)),
        "equalise": equalise(image),
        "elastic": elastic(image, grid),
        "stain": to_bytes(hed2rgb(dyes)),
    }
    for name, pixels in pictures.items():
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.png", optimize=True)
    versions = {module.__name__: module.__version__ for module in (np, scipy, PIL, skimage)}
    (folder / "made_with.json").write_text(json.dumps({"script": "tools/peers/views_reference.py", **versions}) + "\n")


main()
