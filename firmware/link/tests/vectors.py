"""Computes the examples of WIRE.md without any code of this crate: a bit-by-bit CRC and a ten-line COBS.

    python3 firmware/link/tests/vectors.py            prints the table
    python3 firmware/link/tests/vectors.py --check    compares it with WIRE.md
"""

import pathlib
import struct
import sys

VERSION = 2


def crc32(data, polynomial):
    """Reflected CRC-32, start and final xor all ones; the polynomial is given unreflected."""
    reflected = int(f"{polynomial:032b}"[::-1], 2)
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (reflected if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def cobs(data):
    coded = b""
    for block in data.split(b"\0"):
        while len(block) >= 254:
            coded, block = coded + b"\xff" + block[:254], block[254:]
        coded += bytes([len(block) + 1]) + block
    return coded


def packet(kind, sequence, fields, *values):
    body = struct.pack("<BBH", VERSION, kind, sequence) + struct.pack("<" + fields, *values)
    return b"\0" + cobs(body + struct.pack("<I", crc32(body, 0xF4ACFB13))) + b"\0"


assert crc32(b"123456789", 0xF4ACFB13) == 0x1697D06A
assert crc32(b"123456789", 0x04C11DB7) == 0xCBF43926

MODEL = bytes(range(0xA0, 0xA8))
IMAGE = b"abc"
EXAMPLES = [
    ("Hello", "sequence 1, versions 2 to 2, chunk 1024, session 04030201", packet(0x01, 1, "BBHI", 2, 2, 1024, 0x04030201)),
    ("HelloAck", "sequence 1, version 2, chunk 1024, session 04030201, device D0, credit 32768",
     packet(0x02, 1, "BHIQI", 2, 1024, 0x04030201, 0xD0, 32768)),
    ("Rate", "sequence 2, 921600 baud", packet(0x03, 2, "I", 921600)),
    ("RateAck", "sequence 2, 921600 baud", packet(0x04, 2, "I", 921600)),
    ("FrameStart", 'sequence 2, frame 7, raw grey 3 x 1, image "abc"',
     packet(0x10, 2, "QBHHII", 7, 4, 3, 1, 3, crc32(IMAGE, 0x04C11DB7))),
    ("FrameChunk", 'sequence 3, frame 7, offset 0, "abc"', packet(0x11, 3, "QI3s", 7, 0, IMAGE)),
    ("FrameEnd", "sequence 4, frame 7", packet(0x12, 4, "Q", 7)),
    ("Ack", "sequence 2, frame 7, offset 3, credit 32768", packet(0x20, 2, "QII", 7, 3, 32768)),
    ("Nak", "sequence 3, of sequence 3, out of order, frame 7, wants 512", packet(0x21, 3, "HBQI", 3, 3, 7, 512)),
    ("Result", "sequence 5, frame 7, class 2, confidence 0.9876, model a0…a7",
     packet(0x30, 5, "QBHH8s", 7, 0, 2, 9876, MODEL)),
    ("ResultAck", "sequence 5, frame 7", packet(0x31, 5, "Q", 7)),
    ("Ping", "sequence 6, token 04030201", packet(0x40, 6, "I", 0x04030201)),
    ("Pong", "sequence 6, token 04030201", packet(0x41, 6, "I", 0x04030201)),
    ("Error", "sequence 7, version, detail 2", packet(0x7F, 7, "BI", 1, 2)),
]


def main():
    rows = [f"| {name} | {says} | `{wire.hex(' ')}` |" for name, says, wire in EXAMPLES]
    if sys.argv[1:] != ["--check"]:
        print("\n".join(rows))
        return 0
    specification = (pathlib.Path(__file__).parent.parent / "WIRE.md").read_text(encoding="utf-8").splitlines()
    missing = [row for row in rows if row not in specification]
    print("\n".join(["WIRE.md lacks:"] + missing if missing else [f"{len(rows)} examples agree"]))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
