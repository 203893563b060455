#!/usr/bin/env python3
"""Estimates how many cycles the engine's inner loops take on ARM cores, from LLVM's models of those cores.

usage: arm-cycles.py [PROGRAM]

PROGRAM is an aarch64 build with symbols of the example `infer`; without it one is built with the toolchain of `cargo xtask
cross`. Every innermost loop that multiplies bytes is taken out of the disassembly and given to llvm-mca, which is a model of the
pipelines with all loads from the first cache: an upper bound of speed, not a measurement. Needs llvm-mca (Debian: apt-get install
llvm) and objdump of the toolchain. The model of cortex-a72 is that of cortex-a57 with the same issue width.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TRIPLE = "aarch64-unknown-linux-gnu"
CPUS = ["cortex-a53", "cortex-a72", "cortex-a76"]
# Products of bytes in one instruction.
PRODUCTS = {"sdot": 16, "smull": 8, "smull2": 8, "smlal": 8, "smlal2": 8}
LEAST_PRODUCTS = 64
ITERATIONS = 200


def cross() -> pathlib.Path:
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "remedis" / "cross"


def build() -> str:
    root = pathlib.Path(__file__).parents[2]
    target = cross().parent / "count" / "symbols"
    command = f". {cross()}/env.sh && cargo build -q --release --example infer -p remedis-plan --target {TRIPLE}"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "CARGO_PROFILE_RELEASE_STRIP": "none"}
    subprocess.run(["bash", "-c", command], cwd=root, env=environment, check=True)
    return str(target / TRIPLE / "release" / "examples" / "infer")


def functions(program: str) -> dict[str, list[tuple[int, str]]]:
    """By demangled name, the addresses and instructions of our kernels."""
    tools = cross() / "xgcc" / "usr"
    objdump = str(tools / "bin" / "aarch64-linux-gnu-objdump")
    environment = os.environ | {"LD_LIBRARY_PATH": str(tools / "lib" / "x86_64-linux-gnu")}
    text = subprocess.run([objdump, "-d", "-C", "--no-show-raw-insn", program], env=environment, capture_output=True, text=True, check=True).stdout
    found, current = {}, None
    for line in text.splitlines():
        if header := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            current = found.setdefault(header.group(1), []) if "remedis_kernels" in line else None
        elif current is not None and (entry := re.match(r"^\s*([0-9a-f]+):\t(.*)$", line)):
            current.append((int(entry.group(1), 16), entry.group(2).split("//")[0].strip()))
    return found


def loops(function: list[tuple[int, str]]):
    """Bodies from a label to a branch back to it with no other such branch between."""
    place = {address: at for at, (address, _) in enumerate(function)}
    last = -1
    for at, (_, instruction) in enumerate(function):
        target = re.match(r"(?:b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s*([0-9a-f]+)", instruction)
        start = place.get(int(target.group(1), 16)) if target else None
        if start is not None and start <= at:
            if start > last:
                yield [text for _, text in function[start : at + 1]]
            last = at


def cycles(body: list[str], cpu: str) -> float:
    text = [re.sub(r"^(b\.\w+|cbn?z|tbn?z)\s.*", "nop", line) for line in body]
    with tempfile.NamedTemporaryFile("w", suffix=".s") as file:
        file.write("\n".join(text) + "\n")
        file.flush()
        command = ["llvm-mca", f"-mtriple={TRIPLE}", f"-mcpu={cpu}", "-mattr=+dotprod", f"-iterations={ITERATIONS}", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if not found:
        raise RuntimeError(f"llvm-mca: {done.stderr.strip()[:300]}")
    return int(found.group(1)) / ITERATIONS


def main() -> int:
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 2
    if not shutil.which("llvm-mca"):
        print("arm-cycles: skipped: no llvm-mca (Debian: apt-get install llvm)", file=sys.stderr)
        return 2
    program = sys.argv[1] if len(sys.argv) == 2 else build()
    print("cycles of LLVM's models, all loads from the first cache; instructions and products of one iteration\n")
    print(f"{'kernel':46} {'instructions':>12} {'products':>8}" + "".join(f" {cpu:>22}" for cpu in CPUS))
    seen = set()
    for name, function in functions(program).items():
        for body in loops(function):
            operations = [line.split()[0] for line in body]
            products = sum(PRODUCTS.get(operation, 0) for operation in operations)
            key = (len(body), products)
            if products < LEAST_PRODUCTS or key in seen:
                continue
            seen.add(key)
            short = re.sub(r"remedis_kernels::|<|>", "", name)[:38]
            kind = "sdot" if "sdot" in operations else "smull"
            row = f"{f'{short} {kind}':46} {len(body):12} {products:8}"
            for cpu in CPUS:
                if kind == "sdot" and cpu != "cortex-a76":
                    row += f" {'no such instruction':>22}"
                else:
                    count = cycles(body, cpu)
                    row += f" {f'{count:.1f}, {products / count:.1f} a cycle':>22}"
            print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
