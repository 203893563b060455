#!/usr/bin/env python3
"""The maker's own client (PyPI package openmv) against our camera, over a pseudo-terminal.

usage: openmv_client.py CAMERA [--frames N] [--drop-rate R]

CAMERA: the example `camera` of remedis-openmv. The client connects, starts a script, streams, and drops packets at the rate asked for;
every frame it reads must be one that was shown, and later than the one before. Prints one line of JSON.
"""

import argparse
import enum
import json
import os
import pty
import subprocess
import sys
import time
import tty

from openmv.camera import Camera
from openmv.exceptions import ResyncException

if sys.version_info < (3, 12):
    # The client asks whether numbers are members of enumerations, which older Pythons refuse to answer.
    enum.EnumMeta.__contains__ = lambda kind, member: member in kind._value2member_map_


def shown(number):
    """Bytes of a picture of the example, and whether it is RGB565."""
    coloured = number % 3 == 1
    n = 160 * 120 * (2 if coloured else 1)
    return bytes((number + at * at // 7) & 255 for at in range(n)), coloured


def as_client(number, convert):
    data, coloured = shown(number)
    return convert(data, 160, 120, 0x0C030002 if coloured else 0x08020001)[0]


def again(command):
    """The client tries once more after it began again, and then gives up; with many drops that is not enough."""
    while True:
        try:
            return command()
        except ResyncException:
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--drop-rate", type=float, default=0.0)
    asked = parser.parse_args()
    from openmv import image

    master, slave = pty.openpty()
    tty.setraw(slave)
    ours = subprocess.Popen([asked.camera], stdin=master, stdout=master)
    numbers, began = [], time.time()
    try:
        with Camera(os.ttyname(slave), timeout=1.0, drop_rate=asked.drop_rate, max_retry=10) as camera:
            again(camera.stop)
            again(lambda: camera.exec("while True: csi0.snapshot()  # " + "x" * 9000))
            again(lambda: camera.streaming(True))
            while len(numbers) < asked.frames and time.time() - began < 120:
                frame = again(camera.read_frame)
                if frame is None:
                    time.sleep(0.005)
                    continue
                start = numbers[-1] + 1 if numbers else 0
                found = next((n for n in range(start, start + 4000) if as_client(n, image.convert_to_rgb888) == frame["data"]), None)
                if found is None:
                    sys.exit(f"frame {len(numbers)} was never shown after {start}")
                numbers.append(found)
            stats = camera.host_stats()
    finally:
        # What is on its way at the end has no reader any more.
        ours.kill()
    if len(numbers) < asked.frames:
        sys.exit(f"{len(numbers)} of {asked.frames} frames in two minutes")
    print(json.dumps({"frames": len(numbers), "last": numbers[-1], "seconds": round(time.time() - began, 1), "client": stats}))


if __name__ == "__main__":
    main()
