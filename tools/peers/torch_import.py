#!/usr/bin/env python3
"""Small files of weights in the formats of others, and what others' networks answer with them, for
trainer/model/tests/import.rs to be held against.

usage: torch_import.py FOLDER      FOLDER: trainer/model/tests/golden

The networks are torchvision's ResNet and MobileNetV2 and timm's BiT and EfficientNet, narrow enough for files of 100 kB; BiT's
.npz goes through timm's own reader of Google's files. Weights are drawn from a seed, rounded to the type of the file, and used so.
Writes the files and answers.json: for each network and image size the logits, for BiT the embedding too.

The image: value (row y, column x, channel c) = (((x*x + 3*y*y + x*y) // 16 + 50*c) % 256 - 127) / 128.
"""

import json
import pathlib
import sys
from functools import partial

import numpy as np
import timm
import timm.models.resnetv2
import torch
import torch.nn as nn
import torchvision
from safetensors.torch import save_file
from timm.layers import GroupNormAct
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import BasicBlock, ResNet

CLASSES = 5
# Even and odd sizes pad differently.
SIZES = (64, 45)


def image(size):
    y, x = np.mgrid[:size, :size]
    picture = (x * x + 3 * y * y + x * y) // 16
    return torch.tensor(np.stack([((picture + 50 * c) % 256 - 127) / 128 for c in range(3)]), dtype=torch.float32)[None]


def draw(state, seed, dtype):
    """Weights by which every tensor of the network counts."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for name, old in state.items():
        normal = torch.randn(old.shape, generator=generator)
        if not old.is_floating_point():
            drawn[name] = torch.full_like(old, 1234)
            continue
        if old.dim() == 4:
            new = normal * (2 / old[0].numel()) ** 0.5
        elif old.dim() == 2:
            new = normal * old.shape[1] ** -0.5
        elif name.endswith("var"):
            new = 1 + 0.5 * torch.tanh(normal)
        elif name.endswith("weight"):
            new = 1 + 0.3 * normal
        else:
            new = 0.3 * normal
        drawn[name] = new.to(dtype)
    return drawn


def rounded(values):
    return [float(f"{v:.8g}") for v in values.flatten().tolist()]


def answers(network, embedding=None):
    found = []
    with torch.no_grad():
        for size in SIZES:
            entry = {"size": size, "logits": rounded(network(image(size)))}
            found.append(entry | ({"embedding": rounded(embedding(image(size)))} if embedding else {}))
    return found


def filled(network, state):
    network.load_state_dict({name: values.float() if values.is_floating_point() else values for name, values in state.items()})
    return network.eval()


def bit(folder):
    """timm's BiT of a sixteenth of the width, one unit in each block but two in the second."""
    timm.models.resnetv2.make_divisible = int

    def group_norm(channels, **rest):
        """Never fewer than two channels in a group, as in the narrowest layer of the published networks."""
        return GroupNormAct(channels, min(32, channels // 2), **rest)

    network = timm.models.resnetv2.ResNetV2(
        [1, 2, 1, 1], channels=(16, 32, 64, 128), stem_chs=4, num_classes=CLASSES, stem_type="fixed", norm_layer=group_norm)
    state = draw(network.state_dict(), 1, torch.float16)
    save_file(state, folder / "bit_timm.safetensors")

    google, saved = {}, {}
    for name, values in state.items():
        parts = name.split(".")
        norm = {"weight": "gamma", "bias": "beta"}.get(parts[-1])
        array = values.float().numpy()
        hwio = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        if parts[0] == "stem":
            google["resnet/root_block/standardized_conv2d/kernel"] = hwio
            saved["root.conv.weight"] = values
        elif parts[0] == "norm":
            google[f"resnet/group_norm/{norm}"] = array
            saved[f"head.gn.{parts[-1]}"] = values
        elif parts[0] == "head":
            google["resnet/head/conv2d/" + {"weight": "kernel", "bias": "bias"}[parts[-1]]] = hwio
            saved[f"head.conv.{parts[-1]}"] = values
        else:
            block, unit, part = int(parts[1]) + 1, int(parts[3]) + 1, parts[4]
            theirs, ours = f"resnet/block{block}/unit{unit:02}", f"body.block{block}.unit{unit:02}"
            if part == "downsample":
                google[f"{theirs}/a/proj/standardized_conv2d/kernel"] = hwio
                saved[f"{ours}.downsample.weight"] = values
            elif part.startswith("conv"):
                google[f"{theirs}/{'abc'[int(part[-1]) - 1]}/standardized_conv2d/kernel"] = hwio
                saved[f"{ours}.{part}.weight"] = values
            else:
                google[f"{theirs}/{'abc'[int(part[-1]) - 1]}/group_norm/{norm}"] = array
                saved[f"{ours}.gn{part[-1]}.{parts[-1]}"] = values
    np.savez_compressed(folder / "bit.npz", **google)
    # As bit_pytorch/train.py saves a run.
    torch.save({"step": 7, "model": {f"module.{name}": values for name, values in saved.items()}}, folder / "bit.pth")

    def embedding(x):
        return network.forward_features(x).mean((2, 3))

    network.load_pretrained(folder / "bit.npz", prefix="resnet/")
    found = answers(network.eval(), embedding)
    assert found == answers(filled(network, state), embedding)
    return found


class NarrowResNet(ResNet):
    """torchvision's ResNet of 4 to 32 channels instead of 64 to 512."""

    def _make_layer(self, block, planes, blocks, **rest):
        if planes == 64:
            self.inplanes = 4
        return super()._make_layer(block, planes // 16, blocks, **rest)

    def __init__(self):
        super().__init__(BasicBlock, [2, 1, 1, 1], num_classes=CLASSES)
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(32, CLASSES)


def resnet(folder):
    network = NarrowResNet()
    state = draw(network.state_dict(), 2, torch.float32)
    torch.save(state, folder / "resnet18.pth")
    return answers(filled(network, state))


def mobilenet(folder):
    """A tenth of the width, fewer blocks, the format of before 2020 (whose bytes hold addresses, other ones in each run)."""
    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 1, 2], [6, 96, 1, 1], [6, 160, 1, 2], [6, 80, 1, 1]]
    network = MobileNetV2(CLASSES, 0.1, stages)
    state = draw(network.state_dict(), 3, torch.float16)
    torch.save({"epoch": 3, "state_dict": state, "best": 71.9}, folder / "mobilenet_v2.pth", _use_new_zipfile_serialization=False)
    return answers(filled(network, state))


def efficientnet(folder):
    """timm's EfficientNet in the form of Lite0, but narrow, under the names of EfficientNet-PyTorch."""
    stages = [["ds_r1_k3_s1_e1_c8"], ["ir_r2_k3_s2_e6_c8"], ["ir_r2_k5_s2_e6_c12"], ["ir_r1_k3_s2_e6_c16"], ["ir_r1_k5_s2_e6_c24"]]
    network = EfficientNet(
        decode_arch_def(stages), num_classes=CLASSES, stem_size=8, fix_stem=True, num_features=40, pad_type="same",
        round_chs_fn=lambda channels, **_: channels, act_layer=nn.ReLU6, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))
    state = draw(network.state_dict(), 4, torch.bfloat16)
    order = [(s, r) for s, stage in enumerate(network.blocks) for r in range(len(stage))]
    saved = {}
    for name, values in state.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            s, r = int(parts[1]), int(parts[2])
            theirs = {"conv_dw": "_depthwise_conv"}
            if hasattr(network.blocks[s][r], "conv_pwl"):
                theirs |= {"conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}
            else:
                theirs |= {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
            saved[f"_blocks.{order.index((s, r))}.{theirs[parts[3]]}.{parts[4]}"] = values
        else:
            theirs = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
            saved[f"{theirs[parts[0]]}.{parts[1]}"] = values
    save_file(saved, folder / "efficientnet_lite.safetensors")
    return answers(filled(network, state))


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    programs = ", ".join(f"{program.__name__} {program.__version__}" for program in [torch, torchvision, timm])
    found = {
        "made_by": f"tools/peers/torch_import.py, {programs}",
        "bit": bit(folder),
        "resnet18": resnet(folder),
        "mobilenet_v2": mobilenet(folder),
        "efficientnet_lite": efficientnet(folder),
    }
    text = json.dumps(found).replace('{"size"', '\n{"size"').replace('}], "', '}],\n"')
    (folder / "answers.json").write_text(text + "\n")
    for file in sorted(folder.iterdir()):
        print(file.name, file.stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
