#!/usr/bin/env python3
"""The maker's own client (PyPI package openmv) against our camera, over a pseudo-terminal.

usage: openmv_client.py CAMERA [--frames N] [--drop-rate R] [--seed N] [--size WxH] [--record FILE]

CAMERA: the example `camera` of remedis-openmv. The client connects, starts a script, streams, and drops packets at the rate asked for;
every frame it reads must be one that was shown, and later than the one before; without drops, the very next one. What the camera tells
of itself and of the line must be true. Prints one line of JSON. FILE is given the traffic, for firmware/openmv/tests/captures.
"""

import argparse
import enum
import json
import os
import pty
import random
import subprocess
import sys
import time
import tty

from openmv import image
from openmv.camera import Camera
from openmv.exceptions import OMVException, ResyncException

if sys.version_info < (3, 12):
    # The client asks whether numbers are members of enumerations, which older Pythons refuse to answer.
    enum.EnumMeta.__contains__ = lambda kind, member: member in kind._value2member_map_

# The file as it came: no decoder is needed to see that it is the right one.
image._convert_jpeg = lambda data, width, height: (bytes(data), "JPEG")

FORMATS = [0x08020001, 0x0C030002, 0x06060000]
SCRIPT = "while True: csi0.snapshot()  # " + "x" * 5000
LIMIT_S = 300


def shown(number, size):
    """A picture of the example, as the client converts it."""
    width, height = size
    pixels = width * height
    of = lambda n: bytes((number + (at * at % (1 << 32)) // 7) & 255 for at in range(n))
    data = [lambda: of(pixels), lambda: of(2 * pixels), lambda: b"\xff\xd8" + of(pixels // 2) + b"\xff\xd9"][number % 3]()
    return image.convert_to_rgb888(data, width, height, FORMATS[number % 3])[0]


def again(command):
    """The client tries once more after it began again, and then gives up; with many drops that is not enough."""
    while True:
        try:
            return command()
        except ResyncException:
            pass


def connected(port, drop_rate):
    """The client gives up connecting when an answer is lost twice; people plug the camera in again then."""
    for attempt in range(20):
        camera = Camera(port, timeout=1.0, drop_rate=drop_rate, max_retry=10)
        try:
            camera.connect()
            return camera
        except OMVException as error:
            failed = error
    sys.exit(f"no connection in 20 attempts: {failed}")


def check_identity(camera):
    """What the camera tells of itself."""
    told = again(camera.system_info)
    assert told["cpu_id"] == 0x411FC272 and told["chip_id"][0] == 0x5640 and any(told["device_id"]), told
    assert told["stream_buffer_size_kb"] == 1024, told
    assert again(camera.version)["protocol_version"] == (1, 0, 0)


def check_stats(device, host, is_clean):
    """What the camera tells of the line, beside what the client counted of it."""
    assert device["sent"] > 0 and device["received"] > 0, device
    if is_clean:
        assert (device["checksum"], device["sequence"]) == (0, 0), device
        assert device["sent"] + device["sent_events"] <= host["received"], (device, host)


def read_frames(camera, asked, size):
    """The numbers of the frames that came."""
    numbers, began = [], time.time()
    while len(numbers) < asked.frames:
        if time.time() - began > LIMIT_S:
            sys.exit(f"{len(numbers)} of {asked.frames} frames in {LIMIT_S} s")
        frame = again(camera.read_frame)
        if frame is None:
            time.sleep(0.002)
            continue
        start = numbers[-1] + 1 if numbers else 0
        found = next((n for n in range(start, start + 500) if shown(n, size) == frame["data"]), None)
        if found is None:
            sys.exit(f"frame {len(numbers)} was never shown after {start}")
        numbers.append(found)
    return numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--drop-rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", default="160x120")
    parser.add_argument("--record")
    asked = parser.parse_args()
    random.seed(asked.seed)
    is_clean = asked.drop_rate == 0
    size = tuple(int(side) for side in asked.size.split("x"))

    master, slave = pty.openpty()
    tty.setraw(slave)
    command = [asked.camera, "--size", asked.size] + (["--record", asked.record] if asked.record else [])
    ours = subprocess.Popen(command, stdin=master, stdout=master)
    began = time.time()
    try:
        camera = connected(os.ttyname(slave), asked.drop_rate)
        check_identity(camera)
        again(camera.stop)
        again(lambda: camera.exec(SCRIPT))
        again(lambda: camera.streaming(True))
        numbers = read_frames(camera, asked, size)
        # A line that was begun again is counted anew by the client, not by the camera.
        device, host = again(camera.device_stats), camera.host_stats()
        if is_clean:
            assert numbers == list(range(asked.frames)), numbers
        check_stats(device, host, is_clean)
    finally:
        # What is on its way at the end has no reader any more.
        ours.kill()
    seconds = round(time.time() - began, 1)
    print(json.dumps({"frames": len(numbers), "last": numbers[-1], "seconds": seconds, "client": host, "camera": device}))


if __name__ == "__main__":
    main()
