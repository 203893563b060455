#!/usr/bin/env python3
"""Estimates how many cycles the engine's inner loops take on processors that are not here, from LLVM's models of them.

usage: cycles.py aarch64|x86_64 [PROGRAM]

PROGRAM is a build with symbols of the example `infer`; without it one is built (for aarch64 with the toolchain of `cargo xtask
cross`). Every innermost loop that multiplies is taken out of the disassembly and given to llvm-mca, which is a model of the
pipelines with all loads from the first cache: an upper bound of speed, not a measurement. Needs llvm-mca (Debian: apt-get install
llvm) and objdump. The model of cortex-a72 is that of cortex-a57 with the same issue width; there is none here of an ARM core with the
matrix product.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ITERATIONS = 200


@dataclasses.dataclass
class Architecture:
    triple: str
    attributes: str
    cpus: list[str]
    # Products in one instruction; in one of 512 bits twice as many.
    products: dict[str, int]
    # Loops with fewer are not worth a row.
    least_products: int
    # Instructions that only some of the processors have, and those.
    special: dict[str, list[str]]
    # A branch inside a function, and where it goes.
    branch: str


CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "remedis"
ARCHITECTURES = {
    "aarch64": Architecture(
        triple="aarch64-unknown-linux-gnu",
        attributes="+dotprod,+i8mm",
        cpus=["cortex-a53", "cortex-a72", "cortex-a76"],
        products={"sdot": 16, "smmla": 32, "smull": 8, "smull2": 8, "smlal": 8, "smlal2": 8},
        least_products=64,
        special={"sdot": ["cortex-a76"], "smmla": []},
        branch=r"(?:b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s*([0-9a-f]+)",
    ),
    "x86_64": Architecture(
        triple="x86_64-unknown-linux-gnu",
        attributes="+avx2,+avx512bw,+avx512vl,+avx512vnni",
        cpus=["znver3", "icelake-server"],
        products={"vpmaddwd": 16, "vpdpwssd": 16, "vpdpbusd": 32},
        least_products=320,
        special={"vpdpwssd": ["icelake-server"], "vpdpbusd": ["icelake-server"]},
        branch=r"j\w+\s+([0-9a-f]+)",
    ),
}


def run(command: list[str], **more) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def build(name: str, architecture: Architecture) -> str:
    target = CACHE / "count" / "symbols"
    command = f"cargo build -q --release --example infer -p remedis-plan --target {architecture.triple}"
    if name == "aarch64":
        command = f". {CACHE}/cross/env.sh && {command}"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "CARGO_PROFILE_RELEASE_STRIP": "none"}
    subprocess.run(["bash", "-c", command], cwd=pathlib.Path(__file__).parents[2], env=environment, check=True)
    return str(target / architecture.triple / "release" / "examples" / "infer")


def functions(name: str, program: str) -> list[tuple[str, list[tuple[int, str]]]]:
    """Names, and addresses and instructions, of our kernels."""
    objdump, environment = "objdump", dict(os.environ)
    if name == "aarch64":
        tools = CACHE / "cross" / "xgcc" / "usr"
        objdump = str(tools / "bin" / "aarch64-linux-gnu-objdump")
        environment["LD_LIBRARY_PATH"] = str(tools / "lib" / "x86_64-linux-gnu")
    found, current = [], None
    for line in run([objdump, "-d", "-C", "--no-show-raw-insn", program], env=environment).splitlines():
        if header := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            current = None
            if "remedis_kernels" in line:
                current = []
                found.append((header.group(1), current))
        elif current is not None and (entry := re.match(r"^\s*([0-9a-f]+):\t(.*)$", line)):
            current.append((int(entry.group(1), 16), re.split(r"//| # ", entry.group(2))[0].strip()))
    return found


def loops(function: list[tuple[int, str]], branch: str):
    """Bodies from a label to a branch back to it with no other such branch between."""
    place = {address: at for at, (address, _) in enumerate(function)}
    last = -1
    for at, (_, instruction) in enumerate(function):
        target = re.match(branch, instruction)
        start = place.get(int(target.group(1), 16)) if target else None
        if start is not None and start <= at:
            if start > last:
                yield [text for _, text in function[start : at + 1]]
            last = at


def operation(instruction: str) -> str:
    return re.sub(r"^\{\w+\}\s+", "", instruction).split()[0]


def cycles(body: list[str], architecture: Architecture, cpu: str) -> float:
    # Encodings are chosen by the assembler, as its own attributes allow.
    text = ["nop" if re.match(architecture.branch, line) else re.sub(r"^\{\w+\}\s+", "", line) for line in body]
    with tempfile.NamedTemporaryFile("w", suffix=".s") as file:
        file.write("\n".join(text) + "\n")
        file.flush()
        command = ["llvm-mca", f"-mtriple={architecture.triple}", f"-mcpu={cpu}", f"-mattr={architecture.attributes}"]
        done = subprocess.run([*command, f"-iterations={ITERATIONS}", file.name], capture_output=True, text=True, check=False)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    if not found:
        raise RuntimeError(f"llvm-mca: {done.stderr.strip()[:300]}")
    return int(found.group(1)) / ITERATIONS


def main() -> int:
    architecture = ARCHITECTURES.get(sys.argv[1]) if len(sys.argv) in (2, 3) else None
    if architecture is None:
        print(__doc__)
        return 2
    name = sys.argv[1]
    if not shutil.which("llvm-mca"):
        print("cycles: skipped: no llvm-mca (Debian: apt-get install llvm)", file=sys.stderr)
        return 2
    program = sys.argv[2] if len(sys.argv) == 3 else build(name, architecture)
    print("cycles of LLVM's models, all loads from the first cache; instructions and products of one iteration\n")
    print(f"{'kernel':46} {'instructions':>12} {'products':>8}" + "".join(f" {cpu:>22}" for cpu in architecture.cpus))
    seen = set()
    for function, instructions in functions(name, program):
        for body in loops(instructions, architecture.branch):
            operations = [operation(line) for line in body]
            products = sum(architecture.products.get(operation(line), 0) * (2 if "%zmm" in line else 1) for line in body)
            kind = next((one for one in architecture.products if one in operations), None)
            key = (len(body), products, kind)
            if products < architecture.least_products or key in seen:
                continue
            seen.add(key)
            short = re.sub(r"remedis_kernels::|<|>", "", function)[:37]
            row = f"{f'{short} {kind}':46} {len(body):12} {products:8}"
            for cpu in architecture.cpus:
                if cpu not in architecture.special.get(kind, architecture.cpus):
                    row += f" {'-':>22}"
                else:
                    count = cycles(body, architecture, cpu)
                    row += f" {f'{count:.1f}, {products / count:.1f} a cycle':>22}"
            print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
