#!/usr/bin/env python3
"""Times our engine beside onnxruntime, OpenVINO, LiteRT and ncnn, and says which of the project's speed targets are reached.

usage: speed.py MODELS [NAME_SIZE ...] [--ours PROGRAM] [--threads N ...] [--rounds N] [--iterations N] [--like NAME] [--json]
  e.g. speed.py models --ours target/release/remedis

MODELS is the folder that models.py made. Needs the environment of `install-peers.sh --speed`; an engine that is not installed,
or has no model, is named and left out. PROGRAM is a release build of `remedis`; default: the one on the PATH.

One process an engine and round, the engines in turn, so that load, memory and warm-up are each engine's own and a
disturbance of the machine meets all of them. With one thread, pinned, the clock is the process's processor time, which other
work disturbs least; with more it is wall time. A round's time is its least answer, an engine's best time the least of its rounds,
a ratio ours over the best of the fastest peer, float ones included; the spread is that of the rounds. Measure on an idle machine.
--like avx2 or avx-vnni has us and OpenVINO do as on a processor without AVX-512; other engines cannot be told to, and are left out.
Exit code: 0 all targets reached, 1 some not, 2 could not.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np

# Largest ratio to the fastest peer with one thread; with more, any model is to be at least as fast.
TARGETS = {"mbv2_96": 0.90, "mbv2_224": 0.95, "lite0_224": 0.95, "rn18_96": 0.75, "rn18_224": 0.95}
TARGET_WITH_MORE_THREADS = 1.0

OURS = "ours int8"
PEERS = {  # name: (engine, ending of the model)
    "onnxruntime f32": ("onnxruntime", "f32.onnx"),
    "onnxruntime int8": ("onnxruntime", "qdq_u8s8_pc.onnx"),
    "openvino f32": ("openvino", "f32.onnx"),
    "openvino int8": ("openvino", "qdq_u8s8_pc.onnx"),
    "litert int8": ("litert", "int8.tflite"),
    "ncnn f32": ("ncnn", "f32.ncnn.param"),
}


def resident_kb(key: str) -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1])


def onnxruntime_engine(path, x, threads):
    import onnxruntime as ort

    def load():
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x": x})[0]
    return load


def openvino_engine(path, x, threads):
    import openvino

    def load():
        core = openvino.Core()
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1})
        request = core.compile_model(core.read_model(path), "CPU").create_infer_request()
        return lambda: request.infer({0: x})[0]
    return load


def litert_engine(path, x, threads):
    from ai_edge_litert.interpreter import Interpreter

    def load():
        interpreter = Interpreter(model_path=path, num_threads=threads)
        interpreter.allocate_tensors()
        source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        data = x.transpose(0, 2, 3, 1)
        if source["dtype"] != np.float32:
            scale, zero_point = source["quantization"]
            data = np.clip(np.round(data / scale) + zero_point, -128, 127).astype(source["dtype"])
        data = np.ascontiguousarray(data)

        def run():
            interpreter.set_tensor(source["index"], data)
            interpreter.invoke()
            return interpreter.get_tensor(sink["index"])
        return run
    return load


def ncnn_engine(path, x, threads):
    import ncnn

    def load():
        net = ncnn.Net()
        net.opt.num_threads, net.opt.use_vulkan_compute = threads, False
        net.load_param(path)
        net.load_model(path.removesuffix("param") + "bin")
        picture = ncnn.Mat(x[0])

        def run():
            extractor = net.create_extractor()
            extractor.input("in0", picture)
            return np.array(extractor.extract("out0")[1])
        return run
    return load


# Of --like: our name and oneDNN's for the most that may be used.
LIKE = {"avx2": ("AVX2", "AVX2"), "avx-vnni": ("AVX2 with VNNI", "AVX2_VNNI")}

ENGINES = {"onnxruntime": onnxruntime_engine, "openvino": openvino_engine, "litert": litert_engine, "ncnn": ncnn_engine}


def time_peer(engine: str, path: str, input_path: str, threads: int, iterations: int) -> dict:
    """Runs in a process of its own; what Python and the engine's library take before loading is not counted as its memory."""
    clock = time.process_time if threads == 1 else time.perf_counter
    load = ENGINES[engine](path, np.load(input_path), threads)
    resident, start = resident_kb("VmRSS"), clock()
    run = load()
    run()
    load_ms = (clock() - start) * 1e3
    times = []
    for _ in range(iterations):
        start = clock()
        run()
        times.append((clock() - start) * 1e3)
    return {"load_ms": load_ms, "min_ms": min(times), "median_ms": statistics.median(times), "peak_rss_kb": resident_kb("VmHWM") - resident}


def answer(command: list, threads: int) -> dict | None:
    """The JSON object that a command prints last; `None`, with its complaint shown, where it fails."""
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if threads == 1 and shutil.which("taskset") else []
    done = subprocess.run(pinned + command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        print(f"failed: {' '.join(command)}: {done.stderr.strip()[-400:]}", file=sys.stderr)
        return None
    return json.loads(lines[-1])


def measure(models: pathlib.Path, name: str, threads: int, arguments) -> dict:
    """One model and number of threads: each engine's times, and our ratio to the fastest peer, over the rounds."""
    input_path = models / f"in_{name.split('_')[1]}.npy"
    ours, most = LIKE.get(arguments.like, (None, None))
    commands = {OURS: [
        arguments.ours, "bench", str(models / f"{name}_qdq_s8s8_pc.onnx"), "--input", str(input_path),
        "--threads", str(threads), "--iterations", str(arguments.iterations), "--json"]}
    if most:
        commands[OURS] += ["--instructions", ours]
        os.environ["ONEDNN_MAX_CPU_ISA"] = most
    for peer, (engine, ending) in PEERS.items():
        if most and peer != "openvino int8":
            continue
        path = models / f"{name}_{ending}"
        if path.exists():
            commands[peer] = [sys.executable, __file__, "--peer", engine, str(path), str(input_path), str(threads), str(arguments.iterations)]
        else:
            print(f"left out: {peer} on {name}: no {path}", file=sys.stderr)
    rounds = {engine: [] for engine in commands}
    for _ in range(arguments.rounds):
        for engine in list(rounds):
            if (result := answer(commands[engine], threads)) is None:
                del rounds[engine]
            else:
                rounds[engine].append(result)
    engines = {}
    for engine, results in rounds.items():
        best = [result["min_ms"] for result in results]
        engines[engine] = {key: statistics.median(result[key] for result in results) for key in ("median_ms", "load_ms", "peak_rss_kb")}
        engines[engine] |= {"min_ms": min(best), "min_ms_middle": statistics.median(best), "min_ms_to": max(best)}
    row = {"model": name, "threads": threads, "engines": engines, "ratio": None, "best_peer": None}
    row["target"] = TARGETS.get(name) if threads == 1 else TARGET_WITH_MORE_THREADS
    peers = [engine for engine in engines if engine != OURS]
    if OURS in engines and peers:
        row["best_peer"] = best_peer = min(peers, key=lambda engine: engines[engine]["min_ms"])
        row["ratio"] = engines[OURS]["min_ms"] / engines[best_peer]["min_ms"]
        ratios = [ours["min_ms"] / peer["min_ms"] for ours, peer in zip(rounds[OURS], rounds[best_peer])]
        row["ratio_from"], row["ratio_to"] = min(ratios), max(ratios)
    row["reached"] = None if row["ratio"] is None or row["target"] is None else row["ratio"] <= row["target"]
    return row


def show(row: dict, rounds: int, iterations: int) -> None:
    clock = "processor time" if row["threads"] == 1 else "wall time"
    print(f"{row['model']}, {row['threads']} thread(s), {rounds} rounds of {iterations}, {clock}")
    print(f"  {'engine':18} {'best ms':>8} {'rounds to':>15} {'median':>8} {'load ms':>8} {'peak MB':>8} {'to best peer':>12}")
    best = row["engines"].get(row["best_peer"], {}).get("min_ms", float("nan"))
    for engine, times in sorted(row["engines"].items(), key=lambda item: item[1]["min_ms"]):
        spread = f"{times['min_ms_middle']:.2f} .. {times['min_ms_to']:.2f}"
        print(f"  {engine:18} {times['min_ms']:8.2f} {spread:>15} {times['median_ms']:8.2f} {times['load_ms']:8.1f} "
              f"{times['peak_rss_kb'] / 1024:8.1f} {times['min_ms'] / best:12.2f}")
    print(flush=True)


def show_targets(rows: list) -> None:
    print(f"{'model':10} {'threads':>7} {'ratio':>6} {'over rounds':>13} {'target':>7}  {'fastest peer':18} reached")
    for row in rows:
        ratio, over = ("-", "-") if row["ratio"] is None else (f"{row['ratio']:.2f}", f"{row['ratio_from']:.2f} to {row['ratio_to']:.2f}")
        reached = {True: "yes", False: "NO", None: "not measured"}[row["reached"]]
        print(f"{row['model']:10} {row['threads']:7} {ratio:>6} {over:>13} {row['target'] or '-':>7}  {row['best_peer'] or '-':18} {reached}")


def processor() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}"


def main() -> int:
    if sys.argv[1:2] == ["--answers"]:  # for arm-count.sh: nothing but so many answers
        engine, path, input_path, count = sys.argv[2:]
        run = ENGINES[engine](path, np.load(input_path), 1)()
        for _ in range(int(count)):
            run()
        return 0
    if sys.argv[1:2] == ["--peer"]:
        engine, path, input_path, threads, iterations = sys.argv[2:]
        print(json.dumps(time_peer(engine, path, input_path, int(threads), int(iterations))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=list(TARGETS), metavar="NAME_SIZE")
    parser.add_argument("--ours", default=shutil.which("remedis"), metavar="PROGRAM")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--like", choices=sorted(LIKE))
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    arguments = parser.parse_args()
    if not arguments.ours or min(arguments.rounds, arguments.iterations, *arguments.threads) < 1:
        print("speed: expected --ours PROGRAM, and at least one round, iteration and thread", file=sys.stderr)
        return 2
    host = processor()
    if not arguments.json:
        print(host, end="\n\n")
    rows = []
    for threads in arguments.threads:
        for name in arguments.names:
            rows.append(measure(arguments.models, name, threads, arguments))
            if not arguments.json:
                show(rows[-1], arguments.rounds, arguments.iterations)
    if arguments.json:
        print(json.dumps({"host": host, "rounds": arguments.rounds, "iterations": arguments.iterations, "rows": rows}))
    else:
        show_targets(rows)
    if any(row["ratio"] is None for row in rows):
        return 2
    return 0 if all(row["reached"] is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
