"""Imaging hardware that follows WIRE.md and uses none of our code: what a vendor needs for a first answer, and for the next on a bad line.

    python3 firmware/link/tests/hardware.py [--damage N] [--frames N] [--first ID]

Opens a pseudo-terminal, prints its port, and hands N raw grey images of 64 x 48 to the device that opens it, each brighter than the one
before; a byte of every Nth packet is damaged on its way. Prints a line of JSON for each Result. Ends with an error after a minute.
"""

import argparse
import json
import os
import pty
import select
import signal
import struct
import sys
import time
import tty

from vectors import VERSION, crc32, packet

HELLO, HELLO_ACK, FRAME_START, FRAME_CHUNK, FRAME_END, ACK, NAK, RESULT, RESULT_ACK = 1, 2, 0x10, 0x11, 0x12, 0x20, 0x21, 0x30, 0x31
RAW_GREY = 4
CHUNK = 1024
ACKNOWLEDGE_TIME_S = 0.4
LIMIT_S = 60


def uncobs(coded):
    data = b""
    while coded:
        length = coded[0]
        data, coded = data + coded[1:length], coded[length:]
        if length < 255 and coded:
            data += b"\0"
    return data


class Line:
    """Packets on a pseudo-terminal."""

    def __init__(self, damage):
        self.ours, self.port = pty.openpty()
        tty.setraw(self.port)
        self.damage, self.sequence, self.heard = damage, 0, b""

    def send(self, kind, fields, *values):
        self.sequence += 1
        wire = bytearray(packet(kind, self.sequence & 0xFFFF, fields, *values))
        if self.damage and self.sequence % self.damage == 0:
            wire[len(wire) // 2] ^= 0x10
        os.write(self.ours, wire)

    def hear(self, patience_s):
        """Type and fields of the next good packet, or None."""
        until = time.monotonic() + patience_s
        while True:
            while b"\0" in self.heard:
                coded, self.heard = self.heard.split(b"\0", 1)
                data = uncobs(coded)
                if len(data) >= 8 and crc32(data[:-4], 0xF4ACFB13) == struct.unpack("<I", data[-4:])[0] and data[0] == VERSION:
                    return data[1], data[4:-4]
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.ours], [], [], left)[0]:
                return None
            self.heard += os.read(self.ours, 4096)


def ask(line, frame, width, height, image):
    """Hands one image over: its Result, and how often the device asked for something again."""
    # What is wanted next, up to where bytes may be under way, where the next chunk begins, the packet since which all was sent again.
    wanted = limit = sent = 0
    begun, ended, back, naks = False, False, 0, 0

    def start():
        line.send(FRAME_START, "QBHHII", frame, RAW_GREY, width, height, len(image), crc32(image, 0x04C11DB7))

    def chunk(offset):
        data = image[offset : offset + CHUNK]
        line.send(FRAME_CHUNK, f"QI{len(data)}s", frame, offset, data)
        return offset + len(data)

    start()
    while True:
        while begun and sent < min(limit, len(image)):
            sent = chunk(sent)
        if begun and sent == len(image) and not ended:
            line.send(FRAME_END, "Q", frame)
            ended = True
        kind, fields = line.hear(ACKNOWLEDGE_TIME_S) or (None, b"")
        if kind == ACK:
            of, offset, credit = struct.unpack("<QII", fields)
            if of == frame:
                begun, wanted, limit, sent = True, offset, offset + credit, max(sent, offset)
        elif kind == NAK:
            refused, reason, of, detail = struct.unpack("<HBQI", fields)
            if reason in (1, 3) and (refused - back) & 0xFFFF < 0x8000:
                # All from there on again, once for everything that was under way.
                naks, sent, ended, back = naks + 1, min(detail, len(image)), False, line.sequence + 1
            elif reason in (2, 4):
                naks, begun, ended = naks + 1, False, False
                start()
            elif reason == 7:
                # Later is after the next silence.
                begun, ended = False, False
            elif reason not in (1, 3):
                sys.exit(f"frame {frame} was refused for reason {reason}")
        elif kind == RESULT and struct.unpack("<Q", fields[:8])[0] == frame:
            line.send(RESULT_ACK, "Q", frame)
            return struct.unpack("<QBHH8s", fields), naks
        elif kind is None:
            if not begun:
                start()
            elif wanted < len(image):
                chunk(wanted)
            else:
                line.send(FRAME_END, "Q", frame)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damage", type=int, default=0)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--first", type=int, default=1)
    asked = parser.parse_args()
    signal.alarm(LIMIT_S)

    line = Line(asked.damage)
    print(os.ttyname(line.port), flush=True)
    said = None
    while not said or said[0] != HELLO_ACK:
        line.send(HELLO, "BBHI", VERSION, VERSION, CHUNK, 0x04030201)
        said = line.hear(ACKNOWLEDGE_TIME_S)
    for at in range(asked.frames):
        level = 255 * at // max(asked.frames - 1, 1)
        (frame, decision, index, confidence, model), naks = ask(line, asked.first + at, 64, 48, bytes([level]) * (64 * 48))
        told = {"frame": frame, "decision": decision, "class": index, "confidence": confidence / 10000, "model": model.hex()}
        print(json.dumps(told | {"level": level, "naks": naks}), flush=True)


if __name__ == "__main__":
    main()
