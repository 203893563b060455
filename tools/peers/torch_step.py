#!/usr/bin/env python3
"""One training step of our networks in PyTorch, again and again: the peer of `remedis-train bench`.

usage: torch_step.py NETWORK --batch N --size PX --threads N --steps N [--channels-last]

NETWORK: bit-r50x1, resnet18 or efficientnet-lite0. Forward, cross-entropy over 100 classes, backward, SGD with momentum 0.9, on
one batch of noise, as `trainer/train/src/bench.rs` does it. Prints one line of JSON: {"seconds": [of each step], "peak_mb": of
this process, "what": PyTorch's version}. `remedis-train bench` holds this file inside and gives it to Python on standard input.

The networks are those of `trainer/model`, layer by layer, in the order of our parameters; torch_golden.py uses them too.
"""

import argparse
import json
import resource
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES = 100


class StdConv(nn.Conv2d):
    """Qiao et al. 2019, equation 4, with BiT's epsilon."""

    def forward(self, x):
        variance, mean = torch.var_mean(self.weight, dim=[1, 2, 3], keepdim=True, unbiased=False)
        weight = (self.weight - mean) / torch.sqrt(variance + 1e-10)
        return F.conv2d(x, weight, None, self.stride, self.padding)


def std_conv(channels, out, kernel, stride=1):
    return StdConv(channels, out, kernel, stride, kernel // 2, bias=False)


def group_norm(channels):
    return nn.GroupNorm(min(32, channels // 2), channels)


class PreActivated(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.group_norm, self.conv = group_norm(conv.in_channels), conv

    def activate(self, x):
        return F.relu(self.group_norm(x))

    def forward(self, x):
        return self.conv(self.activate(x))


class Unit(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        middle = out // 4
        self.a = PreActivated(std_conv(channels, middle, 1))
        self.b = PreActivated(std_conv(middle, middle, 3, stride))
        self.c = PreActivated(std_conv(middle, out, 1))
        self.projection = std_conv(channels, out, 1, stride) if stride != 1 or channels != out else None

    def forward(self, x):
        activated = self.a.activate(x)
        shortcut = x if self.projection is None else self.projection(activated)
        return self.c(self.b(self.a.conv(activated))) + shortcut


class Bit(nn.Module):
    """BiT ResNet-v2 with `width` channels after the stem, four times as many after the first block."""

    def __init__(self, units=(3, 4, 6, 3), width=64, classes=CLASSES):
        super().__init__()
        self.stem = std_conv(3, width, 7, 2)
        blocks, channels = [], width
        for block, count in enumerate(units):
            for i in range(count):
                out = 4 * width << block
                blocks.append(Unit(channels, out, 2 if block and not i else 1))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.group_norm = group_norm(channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(F.pad(self.stem(x), (1, 1, 1, 1)), 3, 2)
        return self.head(F.relu(self.group_norm(self.blocks(x))).mean((2, 3)))


def same(size, kernel, stride):
    """TensorFlow's "SAME": zeros before and after an axis, the odd one after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvNorm(nn.Module):
    """A convolution and batch normalisation; `padding` None is TensorFlow's "SAME"."""

    def __init__(self, channels, out, kernel, stride, padding, groups, epsilon, activation):
        super().__init__()
        self.is_same = padding is None
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding or 0, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=epsilon)
        self.activation = activation

    def padded(self, x):
        """The input and what the convolution still pads: a pad of its own only where it is lopsided, for PyTorch pads evenly
        for nothing."""
        if not self.is_same:
            return x, self.conv.padding
        pads = [same(size, kernel, step) for size, kernel, step in zip(x.shape[2:], self.conv.kernel_size, self.conv.stride)]
        (top, bottom), (left, right) = pads
        if (top, left) == (bottom, right):
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom)), 0

    def forward(self, x):
        x, padding = self.padded(x)
        x = F.conv2d(x, self.conv.weight, None, self.conv.stride, padding, 1, self.conv.groups)
        return self.activation(self.norm(x))


def identity(x):
    return x


def relu(x):
    return F.relu(x, inplace=True)


def relu6(x):
    return F.relu6(x, inplace=True)


class Basic(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.a = ConvNorm(channels, out, 3, stride, 1, 1, 1e-5, relu)
        self.b = ConvNorm(out, out, 3, 1, 1, 1, 1e-5, identity)
        changes = stride != 1 or channels != out
        self.shortcut = ConvNorm(channels, out, 1, stride, 0, 1, 1e-5, identity) if changes else None

    def forward(self, x):
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return relu(self.b(self.a(x)) + shortcut)


class ResNet18(nn.Module):
    def __init__(self, width=64, blocks=(2, 2, 2, 2), stem=7, classes=CLASSES):
        super().__init__()
        self.stem = ConvNorm(3, width, stem, 2, stem // 2, 1, 1e-5, relu)
        groups, channels = [], width
        for group, count in enumerate(blocks):
            for i in range(count):
                out = width << group
                groups.append(Basic(channels, out, 2 if group and not i else 1))
                channels = out
        self.groups = nn.Sequential(*groups)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        return self.head(self.groups(F.max_pool2d(self.stem(x), 3, 2, 1)).mean((2, 3)))


class Inverted(nn.Module):
    def __init__(self, channels, out, kernel, stride, expansion):
        super().__init__()
        inner = channels * expansion
        self.expand = ConvNorm(channels, inner, 1, 1, 0, 1, 1e-3, relu6) if expansion > 1 else None
        self.depthwise = ConvNorm(inner, inner, kernel, stride, None, inner, 1e-3, relu6)
        self.project = ConvNorm(inner, out, 1, 1, 0, 1, 1e-3, identity)
        self.is_residual = stride == 1 and channels == out

    def forward(self, x):
        inner = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(inner))
        return x + y if self.is_residual else y


# Repeats, kernel, stride, expansion, channels.
LITE0 = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
         (1, 3, 1, 6, 320)]


class EfficientNetLite0(nn.Module):
    def __init__(self, stages=tuple(LITE0), stem=32, top=1280, classes=CLASSES):
        super().__init__()
        self.stem = ConvNorm(3, stem, 3, 2, None, 1, 1e-3, relu6)
        blocks, channels = [], stem
        for repeats, kernel, stride, expansion, out in stages:
            for i in range(repeats):
                blocks.append(Inverted(channels, out, kernel, stride if i == 0 else 1, expansion))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.top = ConvNorm(channels, top, 1, 1, 0, 1, 1e-3, relu6)
        self.head = nn.Linear(top, classes)

    def forward(self, x):
        return self.head(self.top(self.blocks(self.stem(x))).mean((2, 3)))


NETWORKS = {"bit-r50x1": Bit, "resnet18": ResNet18, "efficientnet-lite0": EfficientNetLite0}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=NETWORKS)
    for name in ["batch", "size", "threads", "steps"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--channels-last", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(1)
    network = NETWORKS[asked.network]()
    x = torch.rand(asked.batch, 3, asked.size, asked.size) * 2 - 1
    if asked.channels_last:
        network, x = network.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    classes = torch.arange(asked.batch) * 37 % CLASSES
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    seconds = []
    for _ in range(asked.steps):
        began = time.perf_counter()
        loss = F.cross_entropy(network(x), classes)
        assert loss.isfinite(), loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - began)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": round(peak_mb, 1), "what": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
