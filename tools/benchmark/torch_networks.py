"""VGG-16's convolutions and the paper's network in PyTorch: the same operations as models.vgg16 and models.lesion_fcn do.

Shapes are PyTorch's: images (N, 3, H, W), labels (N, H, W) of 0 ignore, 1 skin, 2 lesion, scores (N, 2, H, W). A model goes to
a device and into a memory format by its `.to`. This file imports nothing of dagnet's.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pooling
CHANNELS_OF_STAGES = (64, 128, 256, 512, 512)
FACTORS = (2, 4, 8, 16, 32, 32)  # how many times the six score maps are enlarged
CLASSES = 2


def vgg16_convolutions(width: float = 1.0) -> nn.Sequential:
    """The five stages of VGG-16's convolutions, each up to its pooling; width is a factor on the channels."""
    stages, layers, before = nn.Sequential(), nn.Sequential(), 3
    for channels in CHANNELS:
        if channels:
            wide = max(1, round(channels * width))
            layers.extend([nn.Conv2d(before, wide, 3, padding=1), nn.ReLU(inplace=True)])
            before = wide
        else:
            stages.append(layers.append(nn.MaxPool2d(2)))
            layers = nn.Sequential()
    return stages


class LesionFCN(nn.Module):
    """The paper's network: the six scores of VGG-16, enlarged to the image's size, side by side, and mixed."""

    def __init__(self, width: float = 1.0, fc_width: int = 4096, dropout: float = 0.5) -> None:
        super().__init__()
        self.stages = vgg16_convolutions(width)
        maps = [max(1, round(channels * width)) for channels in CHANNELS_OF_STAGES]
        self.fc = nn.Sequential(
            *(nn.Conv2d(maps[-1], fc_width, 7, padding=3), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            *(nn.Conv2d(fc_width, fc_width, 1), nn.ReLU(inplace=True), nn.Dropout(dropout)),
        )
        self.scores = nn.ModuleList(nn.Conv2d(channels, CLASSES, 1) for channels in [*maps, fc_width])
        self.ups = nn.ModuleList(nn.ConvTranspose2d(CLASSES, CLASSES, 2 * s, stride=s, padding=s // 2) for s in FACTORS)
        self.predict = nn.Conv2d(CLASSES * len(FACTORS), CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the images x."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps.append(self.fc(x))
        enlarged = [up(score(x)) for up, score, x in zip(self.ups, self.scores, maps, strict=True)]
        return self.predict(torch.cat(enlarged, 1))


def segmentation_loss(scores: Tensor, label: Tensor) -> Tensor:
    """layers.segmentation.SegmentationLoss: each image's sum over its labelled pixels, divided by 1 + their number."""
    t = functional.cross_entropy(scores, label - 1, ignore_index=-1, reduction="none")
    return (t.sum((1, 2)) / (1 + (label > 0).sum((1, 2)))).sum()


def confusion(scores: Tensor, label: Tensor) -> Tensor:
    """layers.segmentation.confusion (2, 2): what SegmentationAccuracy counts in each step."""
    place = label * CLASSES + scores.argmax(1)
    return torch.bincount(place.flatten(), minlength=(CLASSES + 1) * CLASSES)[CLASSES:].reshape(CLASSES, CLASSES)


def sgd(model: nn.Module, rate: float) -> torch.optim.SGD:
    """Momentum 0.9, decay 1e-4; biases learn at twice the rate, as in models.lesion_fcn."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim > 1]},
        {"params": [p for p in model.parameters() if p.ndim == 1], "lr": 2 * rate},
    ]
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, weight_decay=1e-4)


def training_step(model: nn.Module, image: Tensor, label: Tensor, rate: float = 1e-6) -> Callable[[], Tensor]:
    """A step of training on one batch: forward, loss, accuracy, backward, SGD with momentum. It gives back the loss.

    Derivatives are divided by the number of images, as in dagnet.training. Nothing is learned at the default rate, at equal
    cost. On a GPU it does not wait for the loss, as dagnet does not.
    """
    rule = sgd(model, rate)
    counts = torch.zeros(CLASSES, CLASSES, dtype=torch.int64, device=image.device)

    def step() -> Tensor:
        rule.zero_grad()
        scores = model(image)
        objective = segmentation_loss(scores, label)
        counts.add_(confusion(scores.detach(), label))
        (objective / len(image)).backward()
        rule.step()
        return objective.detach()

    return step
