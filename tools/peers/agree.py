#!/usr/bin/env python3
"""Compares exported models in onnxruntime with our own outputs.

usage: agree.py FOLDER

FOLDER holds what remedis_export::agreement::write_sample wrote:
  float.onnx  int8.onnx        the two models
  inputs.npy                   prepared images, [image, channel, height, width]
  float.npy   int8.npy         our logits for them, [image, class]

Graph optimisation is off: optimised int8 kernels of onnxruntime saturate on CPUs without VNNI and are then wrong.
Prints one JSON object. Exit code: 0 agree, 1 disagree, 2 could not compare.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort

FLOAT_TOLERANCE = 1e-4  # of the largest logit, at least of 1


def logits(model: pathlib.Path, inputs: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(str(model), full_check=True)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"input": image[None]})[0] for image in inputs])


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    inputs, ours_float, ours_int8 = (np.load(folder / f"{name}.npy") for name in ("inputs", "float", "int8"))
    if not len(inputs) == len(ours_float) == len(ours_int8) > 0:
        print(f"agree: {len(inputs)} inputs, {len(ours_float)} and {len(ours_int8)} answers", file=sys.stderr)
        return 2
    theirs_float = logits(folder / "float.onnx", inputs)
    theirs_int8 = logits(folder / "int8.onnx", inputs)

    scale = max(1.0, float(np.abs(ours_float).max()))
    float_error = float(np.abs(theirs_float - ours_float).max()) / scale
    other = np.flatnonzero(theirs_int8.argmax(1) != ours_int8.argmax(1))
    int8_error = np.abs(theirs_int8 - ours_int8).max(1)
    agree = bool(np.isfinite(float_error)) and float_error <= FLOAT_TOLERANCE and len(other) == 0
    result = {
        "onnxruntime": ort.__version__,
        "n_images": len(inputs),
        "float_max_relative_difference": float_error,
        "float_tolerance": FLOAT_TOLERANCE,
        "int8_max_difference": float(int8_error.max()),
        "int8_images_equal_to_1e-5": int((int8_error <= 1e-5 * scale).sum()),
        "int8_other_decisions": other.tolist(),
        "agree": agree,
    }
    print(json.dumps(result))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
