#!/usr/bin/env python3
"""Makes the models that speed.py, semantics.py and arm-count.sh measure.

usage: models.py FOLDER [NAME_SIZE ...] [--tflite FOLDER]     e.g. models.py models mbv2_96 rn18_224

Writes into FOLDER, for each of mbv2_96 mbv2_224 lite0_224 rn18_96 rn18_224 or those named:
  NAME_SIZE_f32.onnx                          MobileNetV2, EfficientNet-Lite0 or ResNet-18, batch norm folded
  NAME_SIZE_qdq_{u8s8,s8s8}_{pc,pt}.onnx      onnxruntime's quantisation of it: activations u8 or s8, weights s8 per channel or per tensor
  NAME_SIZE_f32.ncnn.{param,bin}              by pnnx, where that is installed
  NAME_SIZE_int8.tflite                       by TensorFlow where that is installed, else copied from --tflite, else left out
  in_SIZE.npy                                 one input, [1, 3, SIZE, SIZE]

Weights and inputs are random with fixed seeds: the models time and count as trained ones do and say nothing about accuracy.
"""

import argparse
import importlib.util
import logging
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = ["mbv2_96", "mbv2_224", "lite0_224", "rn18_96", "rn18_224"]
CLASSES = 1000

# Expansion, channels, repeats, first stride, kernel: table 2 of Sandler et al. 2018, and table 1 of Tan and Le 2019 without
# squeeze-excitation and with the stem and head of the Lite variant.
MOBILE = {
    "mbv2": [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3), (6, 96, 3, 1, 3), (6, 160, 3, 2, 3), (6, 320, 1, 1, 3)],
    "lite0": [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)],
}
# Channels and first stride of each block: table 1 of He et al. 2015, 18 layers.
RESNET = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]


class Builder:
    """Grows an ONNX graph, one layer a call; values are known by name, their [channel, height, width] by `shapes`."""

    def __init__(self, size: int):
        self.size = size
        self.nodes, self.constants = [], []
        self.shapes = {"x": (3, size, size)}
        self.n_names = 0
        self.macs = 0
        self.rng = np.random.default_rng(0)

    def name(self, letter: str) -> str:
        self.n_names += 1
        return f"{letter}{self.n_names}"

    def constant(self, values: np.ndarray, name: str = "") -> str:
        name = name or self.name("w")
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, op: str, inputs: list, letter: str, shape: tuple, **attributes) -> str:
        output = self.name(letter)
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.shapes[output] = shape
        return output

    def conv(self, x: str, channels: int, kernel: int, stride: int = 1, groups: int = 1, activation: str = "") -> str:
        inputs, height, width = self.shapes[x]
        pad, fan_in = kernel // 2, inputs // groups * kernel * kernel
        weights = self.rng.standard_normal((channels, inputs // groups, kernel, kernel)) * np.sqrt(2.0 / fan_in)
        bias = self.rng.standard_normal(channels) * 0.1
        height, width = (height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1
        self.macs += channels * height * width * fan_in
        output = self.name("c")
        operands = [x, self.constant(weights), self.constant(bias)]
        self.nodes.append(helper.make_node(
            "Conv", operands, [output], name=output, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups))
        self.shapes[output] = (channels, height, width)
        return self.activation(output, activation)

    def activation(self, x: str, kind: str) -> str:
        if kind == "relu":
            return self.node("Relu", [x], "a", self.shapes[x])
        if kind == "relu6":
            output = self.name("a")
            if not any(constant.name == "lo" for constant in self.constants):
                self.constants += [numpy_helper.from_array(np.float32(0), "lo"), numpy_helper.from_array(np.float32(6), "hi")]
            self.nodes.append(helper.make_node("Clip", [x, "lo", "hi"], [output], name=output))
            self.shapes[output] = self.shapes[x]
            return output
        return x

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b], "s", self.shapes[a])

    def max_pool(self, x: str) -> str:
        channels, height, width = self.shapes[x]
        shape = (channels, (height - 1) // 2 + 1, (width - 1) // 2 + 1)
        return self.node("MaxPool", [x], "p", shape, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    def head(self, x: str) -> onnx.ModelProto:
        channels = self.shapes[x][0]
        weights = self.rng.standard_normal((CLASSES, channels)) * np.sqrt(1.0 / channels)
        self.macs += CLASSES * channels
        self.nodes += [
            helper.make_node("GlobalAveragePool", [x], ["gap"], name="gap"),
            helper.make_node("Flatten", ["gap"], ["flat"], name="flat", axis=1),
            helper.make_node("Gemm", ["flat", self.constant(weights), self.constant(self.rng.standard_normal(CLASSES) * 0.1)],
                             ["y"], name="fc", transB=1),
        ]
        graph = helper.make_graph(
            self.nodes, "m",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, self.size, self.size])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model)


def mobile(b: Builder, stages: list) -> onnx.ModelProto:
    x = b.conv("x", 32, 3, 2, activation="relu6")
    for expansion, channels, repeats, first_stride, kernel in stages:
        for repeat in range(repeats):
            inputs, stride, y = b.shapes[x][0], first_stride if repeat == 0 else 1, x
            if expansion != 1:
                y = b.conv(y, inputs * expansion, 1, activation="relu6")
            y = b.conv(y, inputs * expansion, kernel, stride, groups=inputs * expansion, activation="relu6")
            y = b.conv(y, channels, 1)
            x = b.add(x, y) if stride == 1 and inputs == channels else y
    return b.head(b.conv(x, 1280, 1, activation="relu6"))


def resnet(b: Builder) -> onnx.ModelProto:
    x = b.max_pool(b.conv("x", 64, 7, 2, activation="relu"))
    for channels, stride in RESNET:
        y = b.conv(b.conv(x, channels, 3, stride, activation="relu"), channels, 3)
        is_same = stride == 1 and b.shapes[x][0] == channels
        shortcut = x if is_same else b.conv(x, channels, 1, stride)
        x = b.activation(b.add(shortcut, y), "relu")
    return b.head(x)


def quantise(base: str, size: int) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Noise(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(1)
            self.inputs = iter([{"x": rng.standard_normal((1, 3, size, size)).astype(np.float32)} for _ in range(8)])

        def get_next(self):
            return next(self.inputs, None)

    for activation, kind in [("u8", QuantType.QUInt8), ("s8", QuantType.QInt8)]:
        for ending, per_channel in [("pc", True), ("pt", False)]:
            quantize_static(f"{base}_f32.onnx", f"{base}_qdq_{activation}s8_{ending}.onnx", Noise(), quant_format=QuantFormat.QDQ,
                            activation_type=kind, weight_type=QuantType.QInt8, per_channel=per_channel)


def convert_for_ncnn(base: pathlib.Path) -> bool:
    """Runs the converter's own binary: its Python entry point imports torch, which it does not need."""
    spec = importlib.util.find_spec("pnnx")
    binary = spec and pathlib.Path(spec.origin).parent / "pnnx"
    if not binary or not binary.exists():
        return False
    command = [str(binary), f"{base.name}_f32.onnx"]
    subprocess.run(command, cwd=base.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return pathlib.Path(f"{base}_f32.ncnn.param").exists()


def convert_for_litert(name: str, size: int, path: pathlib.Path, ready: pathlib.Path | None) -> bool:
    """The same topology built again in Keras (padding SAME, other random weights); TensorFlow is no pinned peer."""
    if ready and (ready / path.name).exists():
        shutil.copyfile(ready / path.name, path)
        return True
    if importlib.util.find_spec("tensorflow") is None:
        return False
    import tensorflow as tf

    layers = tf.keras.layers

    def conv(x, channels, kernel, stride=1, depthwise=False, activation=""):
        if depthwise:
            x = layers.DepthwiseConv2D(kernel, stride, "same")(x)
        else:
            x = layers.Conv2D(channels, kernel, stride, "same", kernel_initializer="he_normal")(x)
        return layers.ReLU(6.0 if activation == "relu6" else None)(x) if activation else x

    x = first = layers.Input((size, size, 3), batch_size=1)
    if name == "rn18":
        x = layers.MaxPool2D(3, 2, "same")(conv(x, 64, 7, 2, activation="relu"))
        for channels, stride in RESNET:
            y = conv(conv(x, channels, 3, stride, activation="relu"), channels, 3)
            shortcut = x if stride == 1 and x.shape[-1] == channels else conv(x, channels, 1, stride)
            x = layers.ReLU()(layers.Add()([shortcut, y]))
    else:
        x = conv(x, 32, 3, 2, activation="relu6")
        for expansion, channels, repeats, first_stride, kernel in MOBILE[name]:
            for repeat in range(repeats):
                stride, y = first_stride if repeat == 0 else 1, x
                if expansion != 1:
                    y = conv(y, x.shape[-1] * expansion, 1, activation="relu6")
                y = conv(conv(y, 0, kernel, stride, depthwise=True, activation="relu6"), channels, 1)
                x = layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y
        x = conv(x, 1280, 1, activation="relu6")
    keras = tf.keras.Model(first, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(0)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.standard_normal((1, size, size, 3)).astype(np.float32)] for _ in range(4))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME_SIZE")
    parser.add_argument("--tflite", type=pathlib.Path, metavar="FOLDER", help="ready NAME_SIZE_int8.tflite files")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser advises to preprocess, which folding has done
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for full_name in arguments.names:
        name, size = full_name.split("_")
        size, base = int(size), arguments.folder / full_name
        builder = Builder(size)
        onnx.save(resnet(builder) if name == "rn18" else mobile(builder, MOBILE[name]), f"{base}_f32.onnx")
        np.save(arguments.folder / f"in_{size}.npy", np.random.default_rng(7).standard_normal((1, 3, size, size)).astype(np.float32))
        quantise(str(base), size)
        left_out = [] if convert_for_ncnn(base) else ["ncnn (install pnnx)"]
        if not convert_for_litert(name, size, pathlib.Path(f"{base}_int8.tflite"), arguments.tflite):
            left_out.append("tflite (install tensorflow, or name --tflite)")
        without = f"; without {', '.join(left_out)}" if left_out else ""
        print(f"{full_name}: {builder.macs / 1e6:.0f} million multiplications{without}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
