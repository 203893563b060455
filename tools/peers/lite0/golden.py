#!/usr/bin/env python3
"""What EfficientNet-Lite0 answers in onnxruntime: the numbers that the importer's golden test compares with.

usage: golden.py WEIGHTS_FOLDER

WEIGHTS_FOLDER holds efficientnet_lite0_imagenet.safetensors and convert_effnet_lite0.py, whose own graph (built from the
tensors' names alone, no code of this workspace) is run. Writes golden.txt beside this script: for each size one line
`SIZE LOGIT LOGIT ...`. Even and odd sizes pad differently.

The image: value (row y, column x, channel c) = (((x*x + 3*y*y + x*y) // 16 + 50*c) % 256 - 127) / 128.
"""

import importlib.util
import json
import pathlib
import struct
import sys
import tempfile

import numpy as np
import onnxruntime as ort

SIZES = (96, 75)


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    values = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values[name] = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return values


def image(size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    picture = (x * x + 3 * y * y + x * y) // 16
    return np.stack([((picture + 50 * c) % 256 - 127) / 128 for c in range(3)]).astype(np.float32)[None]


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    spec = importlib.util.spec_from_file_location("convert", folder / "convert_effnet_lite0.py")
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    weights = read(folder / "efficientnet_lite0_imagenet.safetensors")
    print(len(weights), "tensors,", sum(v.size for v in weights.values()), "numbers, onnxruntime", ort.__version__)
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        model = f"{scratch}/model.onnx"
        convert.to_onnx(weights, model)
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        for size in SIZES:
            logits = session.run(["logits"], {"input": image(size)})[0][0]
            print(size, "largest", logits.max(), "of class", logits.argmax())
            lines.append(" ".join([str(size), *(f"{value:.5f}" for value in logits)]))
    pathlib.Path(__file__).with_name("golden.txt").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
