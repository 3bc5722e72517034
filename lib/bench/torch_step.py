"""The same training step in PyTorch, run by a Python that has it: a process of its own, which `train_step` asks.

Its argument is the network as JSON. Each line that it reads names pixels and precision, `64 mixed_bfloat16`; it answers
with the seconds of one step, which ends when the loss is known. Nothing of this package is imported.
"""

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import nn


class Block(nn.Module):
    """Two convolutions beside a shortcut, which averages 2 x 2 pixels where the block halves the maps."""

    def __init__(self, before: int, filters: int, strides: int):
        super().__init__()
        pool = [nn.AvgPool2d(strides)] if strides > 1 else []
        fit = [convolution(before, filters, 1), nn.BatchNorm2d(filters)] if before != filters else []
        self.shortcut = nn.Sequential(*pool, *fit)
        self.layers = nn.Sequential(
            *[convolution(before, filters, 3, strides), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)],
            *[convolution(filters, filters, 3), nn.BatchNorm2d(filters)],
        )

    def forward(self, x):
        return torch.relu_(self.layers(x) + self.shortcut(x))


def convolution(before: int, filters: int, kernel: int, strides: int = 1) -> nn.Conv2d:
    """A convolution without bias whose maps have the side of its input, divided by the strides."""
    return nn.Conv2d(before, filters, kernel, strides, padding=kernel // 2, bias=False)


def build(network: dict) -> nn.Sequential:
    """The network of `models/residual.py` in the order of memory that its kernels like best."""
    filters, strides = network["filters"], network["stem_stride"]
    stem = convolution(3, filters[0], max(3, 2 * strides - 1), strides)
    layers, before = [stem, nn.BatchNorm2d(filters[0]), nn.ReLU(inplace=True)], filters[0]
    for stage, (width, depth) in enumerate(zip(filters, network["blocks"], strict=True)):
        for number in range(depth):
            layers.append(Block(before, width, 2 if stage > 0 and number == 0 else 1))
            before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(network["dropout"])]
    layers.append(nn.Linear(before, network["num_classes"]))
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def make_step(network: dict, pixels: int, precision: str) -> Callable[[], float]:
    """A function that trains on one batch of noise and returns its loss."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    model, size = build(network).train(), network["batch_size"]
    settings = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.005}
    optimizer = torch.optim.SGD(model.parameters(), **settings)
    images = (255 * torch.rand(size, 3, pixels, pixels)).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(network["num_classes"], (size,))

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            logits = model(images / 64 - 2)
        loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Answer until the input ends."""
    network, made, step = json.loads(sys.argv[1]), None, None
    for line in sys.stdin:
        if line != made:
            pixels, precision = line.split()
            made, step = line, make_step(network, int(pixels), precision)
        started = time.perf_counter()
        step()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
