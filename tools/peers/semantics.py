#!/usr/bin/env python3
"""Holds our engine and onnxruntime against the integer meaning of a quantised ONNX model, layer by layer and in its decisions.

usage: semantics.py MODEL... --ours PROGRAM [--inputs X.npy] [--count N] [--json]
  e.g. semantics.py models/mbv2_96_qdq_u8s8_pc.onnx --ours target/release/remedis

MODEL is a QDQ model of one input. The reference here shares nothing with the engine. Its sums are exact integers; from there to the
stored value it knows two rules:
  exact   the product with the scales in float64, rounded once: what the operators of ONNX mean
  spec    the product in single precision, as trainer/export/INT8.md prescribes it for bundles

Layer by layer: each quantised tensor is computed by our engine (the model cut off there), and compared with the reference's answer
for the tensors before it *as our engine computed them*, so that nothing adds up. onnxruntime answers the same layer alone with the
same integers, at optimisation level 0 and as it comes. Decisions: the whole model for N inputs, largest output. There a single
step early on can grow, so the whole is compared under both rules.

Differences are in steps of the tensor's own scale. Ours must be at most 1 step off `exact` in every layer, equal to `spec` in every
value of every layer and every output, and decide as `spec` for every input: exit code 0, else 1; 2 if it could not be compared.
Decisions other than `exact`'s are shown with how much the reference itself preferred its own. What onnxruntime does is
reported and not judged. Its optimised u8 x s8 kernels for CPUs with AVX2 and without VNNI add pairs of products in 16 bits and
saturate; the last line shows that alone. Signed activations it makes unsigned only inside a whole model: its s8 layers alone do
not saturate where its s8 models do.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

LARGEST = {np.dtype(np.uint8): (0, 255), np.dtype(np.int8): (-128, 127)}


class Unsupported(Exception):
    pass


class Quantised:
    """Integers and what they mean: scale * (q - zero)."""

    def __init__(self, q: np.ndarray, scale: np.ndarray, zero: np.ndarray, axis: int = 1):
        self.q, self.dtype = q.astype(np.int64), q.dtype
        shape = [-1 if at == axis else 1 for at in range(q.ndim)] if np.size(scale) > 1 else ()
        self.scale = np.asarray(scale, np.float64).reshape(shape)
        self.offset = self.q - np.asarray(zero, np.int64).reshape(shape)

    def like(self, q: np.ndarray) -> "Quantised":
        """Other integers with the same meaning, for tensors of one scale."""
        return Quantised(q.astype(self.dtype), self.scale, (self.q - self.offset).reshape(-1)[0])

    def as_real(self) -> "Real":
        return Real([(self.offset, self.scale)])


class Real:
    """What an operator has computed and nobody has rounded yet: a sum of integers times scales, within bounds."""

    def __init__(self, terms: list, low: float = -np.inf, high: float = np.inf):
        self.terms, self.low, self.high = terms, low, high

    def as_real(self) -> "Real":
        return self

    def over(self, scale: np.float64, rule: str) -> np.ndarray:
        """In units of a scale, not rounded, bounds left out."""
        if rule == "exact":
            return sum(integers * (factor / scale) for integers, factor in self.terms)
        return sum(np.asarray(integers, np.float32) * np.float32(factor / scale) for integers, factor in self.terms)

    def steps(self, scale: np.float64, rule: str) -> np.ndarray:
        return np.clip(np.rint(self.over(scale, rule)), np.rint(self.low / scale), np.rint(self.high / scale))


def conv(x: np.ndarray, w: np.ndarray, attributes: dict) -> np.ndarray:
    """Exact: float64 holds every integer that int8 sums reach."""
    stride, pads, groups = attributes.get("strides", [1, 1]), attributes.get("pads", [0] * 4), attributes.get("group", 1)
    if any(dilation != 1 for dilation in attributes.get("dilations", [])) or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise Unsupported("dilated or automatically padded Conv")
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])]).astype(np.float64)
    n, _, height, width = x.shape
    outputs, per_group, kh, kw = w.shape
    height, width = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    total = np.zeros((n, groups, outputs // groups, height * width))
    for row in range(kh):
        for column in range(kw):
            tap = x[:, :, row:row + stride[0] * height:stride[0], column:column + stride[1] * width:stride[1]]
            tap = np.ascontiguousarray(tap[:, :, :height, :width]).reshape(n, groups, per_group, -1)
            weights = w[:, :, row, column].astype(np.float64).reshape(groups, -1, per_group)
            total += weights[:, 0, :, None] * tap if per_group == outputs // groups == 1 else weights @ tap
    return total.reshape(n, outputs, height, width)


def max_pool(x: Quantised, attributes: dict) -> Quantised:
    kernel, stride, pads = attributes["kernel_shape"], attributes.get("strides", [1, 1]), attributes.get("pads", [0] * 4)
    q = np.pad(x.q, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])], constant_values=LARGEST[x.dtype][0])
    windows = np.lib.stride_tricks.sliding_window_view(q, kernel, axis=(2, 3))[:, :, ::stride[0], ::stride[1]]
    return x.like(windows.max(axis=(4, 5)))


def biased(total: np.ndarray, scale: np.ndarray, bias, axis: int) -> Real:
    """The sum; the bias counts in steps of the sum, as QLinearConv has it."""
    shape = [-1 if at == axis else 1 for at in range(total.ndim)]
    scale = scale.reshape(shape) if scale.size > 1 else scale
    if isinstance(bias, Quantised):
        if not np.allclose(bias.scale.reshape(-1), scale.reshape(-1), rtol=1e-6, atol=0):
            raise Unsupported("a bias in other steps than its sum")
        total = total + bias.offset.reshape(shape)
    elif bias is not None:
        raise Unsupported("a bias that is not quantised")
    return Real([(total, scale)])


def evaluate(node: onnx.NodeProto, values: dict, rule: str):
    """One node's output: Quantised after a Quantize- or DequantizeLinear, Real between them."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    operands = [values.get(name) if name else None for name in node.input]
    match node.op_type:
        case "DequantizeLinear":
            if isinstance(operands[0], Quantised):
                return operands[0]
            zero = operands[2] if len(operands) > 2 else np.zeros(1, np.int64)
            return Quantised(operands[0], operands[1], zero, attributes.get("axis", 1))
        case "QuantizeLinear":
            x, scale, zero = operands
            if isinstance(x, np.ndarray):  # the model's input: ONNX divides in the input's own type
                steps = np.rint(x / np.float32(scale))
            else:
                steps = x.as_real().steps(np.float64(scale), rule)
            return Quantised(np.clip(steps + np.int64(zero), *LARGEST[zero.dtype]).astype(zero.dtype), scale, zero)
        case "Conv":
            x, w, bias = (operands + [None])[:3]
            return biased(conv(x.offset, w.offset, attributes), (x.scale * w.scale).reshape(-1), bias, 1)
        case "Gemm":
            x, w, bias = (operands + [None])[:3]
            if attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0 or attributes.get("transA", 0):
                raise Unsupported("Gemm with factors")
            weights = w.offset.T if attributes.get("transB", 0) else w.offset
            return biased(x.offset.astype(np.float64) @ weights, (x.scale * w.scale).reshape(-1), bias, 1)
        case "Add":
            return Real([term for operand in operands for term in operand.as_real().terms])
        case "Relu":
            x = operands[0].as_real()
            return Real(x.terms, max(x.low, 0.0), x.high)
        case "Clip":
            x, (low, high) = operands[0].as_real(), (operands[1:] + [None, None])[:2]
            return Real(x.terms, x.low if low is None else max(x.low, low), x.high if high is None else min(x.high, high))
        case "MaxPool":
            return max_pool(operands[0], attributes)
        case "GlobalAveragePool":
            x = operands[0]
            return Real([(x.offset.sum(axis=(2, 3), keepdims=True), x.scale / x.q[0, 0].size)])
        case "Flatten":
            x = operands[0]
            return x.like(x.q.reshape(len(x.q), -1))
        case other:
            raise Unsupported(f"operator {other}")


class Model:
    """A QDQ model and its layers: all between one quantised tensor and those before it."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.proto = onnx.shape_inference.infer_shapes(onnx.load(path))
        self.nodes = list(self.proto.graph.node)
        self.by_output = {name: node for node in self.nodes for name in node.output}
        self.constants = {constant.name: numpy_helper.to_array(constant) for constant in self.proto.graph.initializer}
        inputs = [value for value in self.proto.graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(self.proto.graph.output) != 1:
            raise Unsupported(f"{path} has {len(inputs)} inputs and {len(self.proto.graph.output)} outputs; one of each is expected")
        self.input, self.output = inputs[0].name, self.proto.graph.output[0].name
        self.shape = [dimension.dim_value or 1 for dimension in inputs[0].type.tensor_type.shape.dim]
        self.extractor = onnx.utils.Extractor(self.proto)

    def layers(self):
        """(name, QuantizeLinear, nodes in order, quantised tensors before it), in the order of the file."""
        for node in self.nodes:
            if node.op_type != "QuantizeLinear":
                continue
            between, before, waiting = [], [], [node.input[0]]
            while waiting:
                name = waiting.pop()
                at = self.by_output.get(name)
                if at is None:
                    continue
                if at.op_type == "DequantizeLinear" and at.input[0] not in self.constants:
                    before += [] if at.input[0] in before else [at.input[0]]
                elif at not in between:
                    between.append(at)
                    waiting += at.input
            ops = [at for at in self.nodes if at in between and at.op_type != "DequantizeLinear"]
            if before and any(at.op_type not in ("Flatten", "Relu", "Clip") for at in ops):
                yield "+".join(at.op_type for at in ops), ops[0].name or node.name, node, before

    def run(self, x: np.ndarray, rule: str) -> dict:
        """Every tensor, by the reference."""
        values = dict(self.constants) | {self.input: x}
        for node in self.nodes:
            values[node.output[0]] = evaluate(node, values, rule)
        return values

    def layer(self, node: onnx.NodeProto, before: dict, rule: str) -> Quantised:
        """One quantised tensor from those before it."""
        values = dict(self.constants) | before

        def need(name: str):
            if name and name not in values:
                at = self.by_output[name]
                for operand in at.input:
                    need(operand)
                values[name] = evaluate(at, values, rule)
            return values.get(name)
        return need(node.output[0])

    def cut(self, inputs: list, outputs: list) -> onnx.ModelProto:
        return self.extractor.extract_model(inputs, outputs)


def session(model, level) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


LEVELS = {"level 0": ort.GraphOptimizationLevel.ORT_DISABLE_ALL, "optimised": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}


class Ours:
    """The program, asked one tensor at a time."""

    def __init__(self, program: str, folder: pathlib.Path):
        self.program, self.folder = program, folder

    def __call__(self, model: pathlib.Path, x: np.ndarray) -> np.ndarray:
        given, answered = self.folder / "x.npy", self.folder / "y.npy"
        np.save(given, x.astype(np.float32))
        self.tool("run", model, "--input", given, "--output", answered)
        return np.load(answered)

    def tool(self, *arguments) -> None:
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unsupported(done.stderr.strip())

    def quantised(self, model: Model, node: onnx.NodeProto, x: np.ndarray) -> np.ndarray:
        """A quantised tensor of the model, as integers: the model cut off behind its DequantizeLinear."""
        name = next(at.output[0] for at in model.nodes if at.op_type == "DequantizeLinear" and at.input[0] == node.output[0])
        path = self.folder / "cut.onnx"
        part = model.cut([model.input], [name])
        onnx.save(part, path)
        scale, zero = (model.constants[name] for name in node.input[1:3])
        dimensions = [dimension.dim_value or 1 for dimension in part.graph.output[0].type.tensor_type.shape.dim]
        steps = self(path, x).astype(np.float64) / np.float64(scale)
        if np.abs(steps - np.rint(steps)).max() > 1e-3:
            raise Unsupported(f"{name}: our engine's answer lies between the steps of its scale")
        return (np.rint(steps).astype(np.int64) + np.int64(zero)).astype(zero.dtype).reshape(dimensions)


def steps(a: np.ndarray, b: np.ndarray) -> dict:
    difference = np.abs(a.astype(np.int64) - b.astype(np.int64))
    return {"steps": int(difference.max()), "values": int((difference > 0).sum()), "of": difference.size}


def by_layers(model: Model, ours: Ours, x: np.ndarray) -> list:
    computed = {}
    for node in model.nodes:
        if node.op_type == "QuantizeLinear" and node.input[0] not in model.constants:
            computed[node.output[0]] = ours.quantised(model, node, x)
    rows = []
    for node in model.nodes:  # the input's own rounding is a layer too
        if node.op_type == "QuantizeLinear" and node.input[0] == model.input:
            expected = evaluate(node, dict(model.constants) | {model.input: x}, "exact").q
            found = steps(computed[node.output[0]], expected)
            rows.append({"op": "quantise", "name": node.name, "exact": found, "spec": found})
    for op, name, node, before in model.layers():
        integers = {tensor: computed[tensor] for tensor in before}
        quantised = {tensor: Quantised(integers[tensor], *(model.constants[constant] for constant in model.by_output[tensor].input[1:3]))
                     for tensor in before}
        expected = {rule: model.layer(node, quantised, rule).q for rule in ("exact", "spec")}
        row = {"op": op, "name": name} | {rule: steps(computed[node.output[0]], expected[rule]) for rule in expected}
        alone = model.cut(before, [node.output[0]])
        for level, option in LEVELS.items():
            row[level] = steps(session(alone, option).run(None, integers)[0], expected["exact"])
        rows.append(row)
    return rows


def by_decisions(model: Model, ours: Ours, inputs: np.ndarray) -> dict:
    """Against `exact`; `spec`, the reference under the other rule, is one of those compared, and ours must be equal to it."""
    plan = ours.folder / "model.plan"
    ours.tool("compile", model.path, "--output", plan)
    last = model.by_output[model.output]
    is_stored = last.op_type == "DequantizeLinear"
    scale = np.float64(model.constants[last.input[1]]) if is_stored else None

    def reference(x, rule):
        y = model.run(x, rule)[model.output]
        return (y.offset if is_stored else y.over(np.float64(1), rule)).reshape(-1)

    def given(y):  # float32 is what engines answer in; steps are whole, so nothing is lost
        return np.rint(y.reshape(-1).astype(np.float64) / scale) if is_stored else y.reshape(-1)

    engines = {"ours": lambda x: given(ours(plan, x)), "spec": lambda x: reference(x, "spec")}
    for level, option in LEVELS.items():
        engines[level] = lambda x, at=session(model.path, option): given(at.run(None, {model.input: x})[0])
    result = {engine: {"same": 0, "largest": 0.0, "preferred": []} for engine in engines}
    result["ours"] |= {"as_spec": 0}
    for x in inputs[:, None]:
        expected = reference(x, "exact")
        answers = {engine: run(x) for engine, run in engines.items()}
        unit = 1.0 if is_stored else float(np.abs(expected).max()) / 100
        for engine, answer in answers.items():
            row, decided = result[engine], answer.argmax()
            row["same"] += int(decided == expected.argmax())
            row["largest"] = max(row["largest"], float(np.abs(answer - expected).max()) / unit)
            row["preferred"] += [] if decided == expected.argmax() else [float(expected.max() - expected[decided]) / unit]
        result["ours"]["as_spec"] += int((answers["ours"] == answers["spec"]).all())
    return {"count": len(inputs), "unit": "steps" if is_stored else "% of the largest", "engines": result}


def extreme(ours: Ours) -> dict:
    """A 1x1 Conv of 64 channels, all 255 by all 127: the largest sums that u8 x s8 has."""
    f32, u8, s8 = np.float32, np.uint8, np.int8
    channels, scale = 64, np.float32(64.0)
    constants = {"s": f32(1), "z": u8(0), "w": np.full((8, channels, 1, 1), 127, s8), "zw": s8(0), "sy": scale * f32(255 * 127) / f32(200)}
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    nodes = [helper.make_node(op, inputs, [output], name=output) for op, inputs, output in [
        ("QuantizeLinear", ["x", "s", "z"], "xq"), ("DequantizeLinear", ["xq", "s", "z"], "xd"),
        ("DequantizeLinear", ["w", "s", "zw"], "wd"), ("Conv", ["xd", "wd"], "c"),
        ("QuantizeLinear", ["c", "sy", "z"], "yq"), ("DequantizeLinear", ["yq", "sy", "z"], "y")]]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in [("x", [1, channels, 8, 8]), ("y", [1, 8, 8, 8])]]
    proto = helper.make_model(helper.make_graph(nodes, "extreme", values[:1], values[1:], initializers), opset_imports=[helper.make_opsetid("", 13)])
    proto.ir_version = 8
    path = ours.folder / "extreme.onnx"
    onnx.save(proto, path)
    x = np.full((1, channels, 8, 8), 255, f32)
    in_steps = lambda y: int(np.rint(np.asarray(y).reshape(-1)[0] / constants["sy"]))
    result = {"exact": 200, "ours": in_steps(ours(path, x))}
    return result | {level: in_steps(session(path, option).run(None, {"x": x})[0]) for level, option in LEVELS.items()}


def show(name: str, rows: list, decisions: dict) -> None:
    print(f"{name}: {len(rows)} layers; largest difference in steps, and values that differ in a million")
    columns = {"exact": "ours to exact", "spec": "ours to spec", "level 0": "ort level 0 to exact", "optimised": "ort optimised to exact"}
    print(f"  {'layers':24} {'number':>6}" + "".join(f"  {title:>22}" for title in columns.values()))
    kinds = {}
    for row in rows:
        kinds.setdefault(row["op"], []).append(row)
    for op, members in kinds.items():
        line = f"  {op:24} {len(members):6}"
        for column in columns:
            found = [row[column] for row in members if column in row]
            share = 1e6 * sum(at["values"] for at in found) / max(1, sum(at["of"] for at in found))
            text = f"{max(at['steps'] for at in found)} ({share:.0f})" if found else "-"
            line += f"  {text:>22}"
        print(line)
    far = [row for row in rows if row.get("optimised", {"steps": 0})["steps"] > 1]
    if far:
        worst = max(far, key=lambda row: row["optimised"]["steps"])
        print(f"  onnxruntime, optimised, is more than a step off in {len(far)} layers; most in {worst['name']}: {worst['optimised']['steps']} steps")
    labels = {"ours": "ours", "spec": "spec", "level 0": "onnxruntime level 0", "optimised": "onnxruntime optimised"}
    count, unit = decisions["count"], decisions["unit"]
    for engine, row in decisions["engines"].items():
        also = f"; every value as spec for {row['as_spec']}" if "as_spec" in row else ""
        preferred = ", ".join(f"{by:.3g}" for by in row["preferred"])
        also += f"; where not, exact preferred its own by {preferred} {unit}" if preferred else ""
        print(f"  {labels[engine]:22} decides as exact for {row['same']} of {count} inputs, outputs up to {row['largest']:.3g} {unit} off{also}")
    print(flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path, metavar="MODEL")
    parser.add_argument("--ours", default=shutil.which("remedis"), metavar="PROGRAM")
    parser.add_argument("--inputs", type=pathlib.Path, help="prepared images, [image, channel, height, width]; default: noise")
    parser.add_argument("--count", type=int, default=20, help="inputs to decide [default: 20]")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if not arguments.ours or arguments.count < 1:
        print("semantics: expected --ours PROGRAM and at least one input", file=sys.stderr)
        return 2
    report, good = {"onnxruntime": ort.__version__, "models": {}}, True
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(arguments.ours, pathlib.Path(folder))
        try:
            for path in arguments.models:
                model = Model(path)
                if arguments.inputs:
                    inputs = np.load(arguments.inputs)[:arguments.count]
                else:
                    inputs = np.random.default_rng(0).standard_normal([arguments.count, *model.shape[1:]])
                inputs = inputs.astype(np.float32)
                rows, decisions = by_layers(model, ours, inputs[:1]), by_decisions(model, ours, inputs)
                good &= all(row["exact"]["steps"] <= 1 and row["spec"]["steps"] == 0 for row in rows)
                good &= decisions["engines"]["ours"]["as_spec"] == len(inputs)
                report["models"][path.stem] = {"layers": rows, "decisions": decisions}
                if not arguments.json:
                    show(path.stem, rows, decisions)
            report["extreme"] = found = extreme(ours)
        except Unsupported as error:
            print(f"semantics: {error}", file=sys.stderr)
            return 2
    good &= found["ours"] == found["exact"]
    if arguments.json:
        print(json.dumps(report | {"agrees": bool(good)}))
    else:
        print(f"1x1 Conv of 64 channels, all 255 by all 127: exact {found['exact']}, ours {found['ours']}, "
              f"onnxruntime level 0 {found['level 0']}, optimised {found['optimised']}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
