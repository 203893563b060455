#!/usr/bin/env python3
"""Losses and gradients of PyTorch in double precision, for trainer/train/tests/golden.rs to be held against.

usage: torch_golden.py > trainer/train/tests/golden/torch.json

Whole networks with weights and images that both sides make by the same formula, one step of each: the loss, and of every
parameter's gradient its length and its inner products with twelve noises. Losses and LARS by themselves: all numbers.

A ReLU or a largest value near a tie makes gradients jump by more than what is tested, whoever computes. So images are drawn
until PyTorch in single precision, in two memory layouts, and in double precision with all numbers disturbed by 5e-7, eight
times, agrees with itself to AGREES: other processors round otherwise. Several such draws are kept of each network: a tie
that even these disturbances do not meet may still be met by another rounding, but not in every draw.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from torch_step import NETWORKS

BATCH, CLASSES = 8, 10
SIZES = {"bit-r50x1": 32, "resnet18": 64, "efficientnet-lite0": 64}
TOLERANCE = 1e-4
# What PyTorch may differ from itself by: less than the tolerance, for others round otherwise.
AGREES = 0.6 * TOLERANCE
# As a share of the whole gradient, for the errors of shorter ones.
SHORTEST = 1e-4
PRODUCTS = 12
# Of images, a network. EfficientNet-Lite0 agrees with itself on one in fifty.
DRAWS = {"bit-r50x1": 3, "resnet18": 3, "efficientnet-lite0": 2}


def noise(seed, *shape):
    """Numbers without order from -1 to 1; the same formula is in golden.rs."""
    i = np.arange(math.prod(shape), dtype=np.int64)
    values = ((i * 2_654_435_761 + seed * 40_503) % 65_521).astype(np.float32) / np.float32(32_760.5) - np.float32(1)
    return torch.from_numpy(values.reshape(shape)).double()


def rounded(values):
    return [float(f"{float(v):.9g}") for v in (torch.as_tensor(v).detach() for v in values)]


def parameters_of(network):
    """Each parameter with what its noise is added to and multiplied with, as 32-bit floats."""
    for name, parameter in network.named_parameters():
        if parameter.dim() == 4:
            centre, spread = 0.0, math.sqrt(5.0 / parameter[0].numel())
        elif parameter.dim() == 2:
            centre, spread = 0.0, 0.02
        elif name.endswith("norm.weight"):
            centre, spread = 1.0, 0.25
        else:
            centre, spread = 2.0, 0.5
        yield name, parameter, centre, float(np.float32(spread))


def run(name, seed, dtype=torch.float64, layout=torch.contiguous_format, disturb=0.0, again=0):
    """The loss and the gradients, in double precision."""
    network = NETWORKS[name](classes=CLASSES).to(dtype).train()
    generator = torch.Generator().manual_seed(seed + again)

    def disturbed(values):
        return values * (1 + disturb * (2 * torch.rand(values.shape, generator=generator, dtype=torch.float64) - 1))

    with torch.no_grad():
        for i, (_, parameter, centre, spread) in enumerate(parameters_of(network)):
            # Once in 32 bits, as the other side has them.
            values = (centre + spread * noise(i, *parameter.shape).float().numpy()).astype(np.float32)
            parameter.copy_(disturbed(torch.from_numpy(values).double()))
    network = network.to(memory_format=layout)
    x = disturbed(noise(seed, BATCH, 3, SIZES[name], SIZES[name])).to(dtype).to(memory_format=layout)
    loss = F.cross_entropy(network(x), torch.arange(BATCH) * 37 % CLASSES)
    loss.backward()
    return loss.item(), [p.grad.double() for p in network.parameters()]


def steps(name):
    """Some draws of images for which the network agrees with itself."""
    kept = []
    for seed in range(1000, 1400):
        told = step(name, seed)
        kept += [told] if told else []
        if len(kept) == DRAWS[name]:
            return kept
    sys.exit(f"{len(kept)} of {DRAWS[name]} draws of images found for which {name} agrees with itself")


def step(name, seed):
    """A step on these images, or nothing where the network does not agree with itself."""
    loss, gradients = run(name, seed)
    total = math.sqrt(sum(float(g.norm()) ** 2 for g in gradients))

    def error(*asked, **how):
        _, others = run(name, seed, *asked, **how)
        # A shift before another normalisation has a gradient of zero. Other short ones are what is left where longer ones cancel:
        # their errors are those of the longer ones, in golden.rs too.
        kept = [(a, b) for a, b in zip(gradients, others) if a.norm() > 1e-9 * total]
        return max(float((a - b).norm() / max(a.norm(), SHORTEST * total)) for a, b in kept)

    worst = error(torch.float32)
    if worst < AGREES:
        worst = max(worst, error(torch.float32, torch.channels_last))
    for again in range(8):
        if worst < AGREES:
            worst = max(worst, error(disturb=5e-7, again=again))
    print(f"{name}, images {seed}: off by {worst:.1e}", file=sys.stderr)
    if worst >= AGREES:
        return None
    told = []
    for (parameter_name, parameter, centre, spread), g in zip(parameters_of(NETWORKS[name](classes=CLASSES)), gradients):
        length, shape = float(g.norm()), list(parameter.shape)
        products = rounded([(g * noise(noise_seed, *shape)).sum() for noise_seed in range(2000, 2000 + PRODUCTS)])
        entry = {"name": parameter_name, "shape": shape, "centre": centre, "spread": spread}
        told.append(entry | {"length": rounded([length])[0] if length > 1e-9 * total else 0.0, "products": products})
    return {"network": name, "size": SIZES[name], "images": seed, "loss": rounded([loss])[0], "parameters": told}


def nt_xent():
    """Chen et al. 2020, equation 1, on rows brought to unit length."""
    rows, temperature = noise(1, 24, 16).requires_grad_(), 0.1
    unit = F.normalize(rows)
    similarities = unit @ unit.T / temperature
    similarities.fill_diagonal_(-math.inf)
    partners = (torch.arange(24) + 12) % 24
    loss = F.cross_entropy(similarities, partners)
    loss.backward()
    return {"temperature": temperature, "loss": rounded([loss])[0], "gradient": rounded(rows.grad.flatten())}


def decoupled():
    """Yeh et al. 2022, equation 6, on rows brought to unit length."""
    rows, temperature = noise(1, 24, 16).requires_grad_(), 0.1
    unit = F.normalize(rows)
    similarities = unit @ unit.T / temperature
    partners = (torch.arange(24) + 12) % 24
    positive = similarities[torch.arange(24), partners]
    negatives = similarities.masked_fill(torch.eye(12, dtype=torch.bool).repeat(2, 2), -math.inf)
    loss = (torch.logsumexp(negatives, 1) - positive).mean()
    loss.backward()
    return {"temperature": temperature, "loss": rounded([loss])[0], "gradient": rounded(rows.grad.flatten())}


def vicreg():
    """Bardes et al. 2022, equation 6 with the mean squared distance of algorithm 1; half of the axes are wide enough."""
    rows = (noise(1, 24, 16) * torch.tensor([0.5, 6.0]).double().repeat(8)).detach().requires_grad_()
    a, b = rows.chunk(2)

    def narrow(z):
        return F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean()

    def correlated(z):
        squares = torch.cov(z.T) ** 2
        return (squares.sum() - squares.diagonal().sum()) / 16

    loss = 25 * F.mse_loss(a, b) + 25 * (narrow(a) + narrow(b)) + correlated(a) + correlated(b)
    loss.backward()
    return {"loss": rounded([loss])[0], "gradient": rounded(rows.grad.flatten())}


def sigmoid_cross_entropy():
    """A sum over classes and a mean over images, as google-research/big_vision; targets from 0 to 1."""
    logits, targets = (noise(6, 12, 7) * 8).requires_grad_(), (noise(7, 12, 7) + 1) / 2
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / 12
    loss.backward()
    return {"loss": rounded([loss])[0], "gradient": rounded(logits.grad.flatten())}


def distillation():
    """Hinton et al. 2015, section 2."""
    student, teacher, temperature = (noise(2, 12, 7) * 3).requires_grad_(), noise(3, 12, 7) * 3, 2.0
    loss = F.kl_div(F.log_softmax(student / temperature, 1), F.softmax(teacher / temperature, 1), reduction="batchmean")
    loss = loss * temperature**2
    loss.backward()
    return {"temperature": temperature, "loss": rounded([loss])[0], "gradient": rounded(student.grad.flatten())}


def lars():
    """You et al. 2017 with google-research/simclr's classic momentum; three steps with gradients that change."""
    weight, bias = noise(4, 9, 5), noise(5, 5)
    velocities = [torch.zeros_like(weight), torch.zeros_like(bias)]
    decay, trust, momentum, rate = 1e-2, 1e-3, 0.9, 3.0
    for t in range(3):
        push = noise(10 + t, 9, 5) + decay * weight
        ratio = trust * weight.norm() / push.norm()
        velocities[0] = momentum * velocities[0] + rate * ratio * push
        velocities[1] = momentum * velocities[1] + rate * noise(20 + t, 5)
        weight, bias = weight - velocities[0], bias - velocities[1]
    return {"decay": decay, "rate": rate, "weight": rounded(weight.flatten()), "bias": rounded(bias)}


def main():
    found = {
        "made_by": f"tools/peers/torch_golden.py, PyTorch {torch.__version__}",
        "batch": BATCH,
        "classes": CLASSES,
        "steps": [told for name in NETWORKS for told in steps(name)],
        "nt_xent": nt_xent(),
        "decoupled": decoupled(),
        "vicreg": vicreg(),
        "sigmoid_cross_entropy": sigmoid_cross_entropy(),
        "distillation": distillation(),
        "lars": lars(),
    }
    # A line each.
    lines = json.dumps(found).replace('{"name"', '\n{"name"').replace('"nt_xent"', '\n"nt_xent"')
    print(lines)


if __name__ == "__main__":
    main()
