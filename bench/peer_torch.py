#!/usr/bin/python3
"""The peer of `weft bench step`: the same training step in Debian's PyTorch, timed.

A step is forward, mean softmax cross-entropy, backward and an SGD update with momentum 0.9, on one
fixed random batch. Both memory formats are timed in turn, block by block, and the better one is
reported. Last line on stdout: {"event":"result","images_per_second":...,"step_ms":...,...}.

Needs the package python3-torch, which weft itself does not. The interpreter is /usr/bin/python3,
because that is the one Debian's package is installed for.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time


def conv_bn_relu(nn, src, out, stride=1):
    """3x3, no bias: the batchnorm after it has one."""
    return [nn.Conv2d(src, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


def lenet5(nn):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def alexnet_cifar(nn):
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1024, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10))


def vgg(nn, stages):
    """One list of widths a stage, a 2x2 pool after each (Simonyan and Zisserman 2015, CIFAR size)."""
    layers, channels = [], 3
    for widths in stages:
        for width in widths:
            layers += conv_bn_relu(nn, channels, width)
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def resnet20(nn):
    """He et al. 2016, section 4.2; the shortcut is a 1x1 convolution where the shape changes."""

    class Block(nn.Module):
        def __init__(self, src, out, stride):
            super().__init__()
            self.body = nn.Sequential(*conv_bn_relu(nn, src, out, stride), *conv_bn_relu(nn, out, out)[:-1])
            same = src == out and stride == 1
            self.shortcut = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(src, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            self.relu = nn.ReLU()

        def forward(self, src):
            return self.relu(self.body(src) + self.shortcut(src))

    layers, channels = conv_bn_relu(nn, 3, 16), 16
    for width in (16, 32, 64):
        for index in range(3):
            layers.append(Block(channels, width, 2 if width != channels else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def dscnn(nn):
    """Zhang et al. 2017, "Hello Edge", DS-CNN-S: depthwise separable convolutions on MFCC features."""

    def batchnorm_relu(width):
        return [nn.BatchNorm2d(width), nn.ReLU()]

    layers = [nn.Conv2d(1, 64, (10, 4), 2, (5, 1), bias=False), *batchnorm_relu(64)]
    for _ in range(4):
        layers += [nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), *batchnorm_relu(64),
                   nn.Conv2d(64, 64, 1, bias=False), *batchnorm_relu(64)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


def pernet_mlp(nn):
    widths = [427, 512, 512, 256, 256, 128, 71]
    layers = [nn.Flatten()]
    for src, out in zip(widths, widths[1:]):
        layers += [nn.Linear(src, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


PRESETS = {
    "lenet5": ((1, 28, 28), lenet5),
    "alexnet-cifar": ((3, 32, 32), alexnet_cifar),
    "vgg11": ((3, 32, 32), lambda nn: vgg(nn, [[64], [128], [256] * 2, [512] * 2, [512] * 2])),
    "vgg16": ((3, 32, 32), lambda nn: vgg(nn, [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3])),
    "resnet20": ((3, 32, 32), resnet20),
    "dscnn": ((1, 49, 10), dscnn),
    "pernet-mlp": ((1, 1, 427), pernet_mlp),
}


class Trainer:
    """One network in one memory format with its batch and optimizer."""

    def __init__(self, torch, preset, batch, memory_format):
        shape, build = PRESETS[preset]
        torch.manual_seed(1)
        self.model = build(torch.nn).to(memory_format=memory_format).train()
        self.samples = torch.rand(batch, *shape).contiguous(memory_format=memory_format)
        self.labels = torch.randint(10, (batch,))
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)

    def run(self, steps):
        """Seconds for that many steps."""
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.model(self.samples), self.labels).backward()
            self.optimizer.step()
        return time.perf_counter() - start

    def warm_up(self, seconds):
        """Runs for about that long; returns the seconds of its last step."""
        self.run(1)  # allocates, and picks kernels
        last = self.run(1)
        self.run(min(1000, int(seconds / last)))
        return last


def measure(torch, options):
    """Median step in ms of each memory format; their blocks take turns."""
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    chosen = [options.layout] if options.layout != "best" else list(formats)
    trainers = {name: Trainer(torch, options.preset, options.batch, formats[name]) for name in chosen}
    steps = {name: max(1, int(options.block_seconds / trainer.warm_up(options.block_seconds)))
             for name, trainer in trainers.items()}
    blocks = {name: [] for name in chosen}
    for _ in range(options.blocks):
        for name, trainer in trainers.items():
            blocks[name].append(1e3 * trainer.run(steps[name]) / steps[name])
    parameters = sum(parameter.numel() for parameter in trainers[chosen[0]].model.parameters())
    return {name: statistics.median(times) for name, times in blocks.items()}, parameters


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--preset", required=True, choices=PRESETS)
    parser.add_argument("--batch", type=int, default=64, help="images a step (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--layout", choices=["best", "contiguous", "channels_last"], default="best")
    parser.add_argument("--blocks", type=int, default=5, help="timed blocks a layout (%(default)s)")
    parser.add_argument("--block-seconds", type=float, default=0.3,
                        help="about this long; at least one step (%(default)s)")
    options = parser.parse_args(arguments)
    for name in ("batch", "threads", "blocks"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: got {getattr(options, name)}, want 1 or more")
    return options


def main(arguments):
    options = parse(arguments)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when torch is loaded
    try:
        import torch
    except ImportError as error:
        print(f"bench/peer_torch.py: {error}. Install it with: sudo apt-get install -y python3-torch",
              file=sys.stderr)
        return 69
    torch.set_num_threads(options.threads)
    step_ms, parameters = measure(torch, options)
    layout = min(step_ms, key=step_ms.get)
    print(json.dumps({
        "event": "result", "preset": options.preset, "batch": options.batch, "threads": options.threads,
        "images_per_second": round(1e3 * options.batch / step_ms[layout], 2),
        "step_ms": round(step_ms[layout], 4), "layout": layout,
        "step_ms_by_layout": {name: round(value, 4) for name, value in step_ms.items()},
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "parameters": parameters, "blocks": options.blocks, "program": "torch " + torch.__version__}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
