"""A small convolutional network on whole crops (the CNN of system J)."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as nnf

from hemaline_shared.logits import softmax
from hemaline_train.bundles.calibrate import fit_temperature
from hemaline_train.classical.features import Matrix
from hemaline_train.classical.learning import Answer, Lesson, group_folds

_SIDE = 64
_MARGIN = 0.1
"""The outer tenth on each side is cut away: it shows neighbours."""

_EPOCHS, _BATCH, _RATE = 14, 32, 2e-3


def describe_pixels(pixels: NDArray[np.uint8]) -> Matrix:
    """Return small pictures as rows of 0..1, channels first."""
    margin = round(pixels.shape[1] * _MARGIN)
    inner = pixels[:, margin:-margin, margin:-margin]
    small = [cv2.resize(one, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for one in inner]
    stacked = np.stack(small).transpose(0, 3, 1, 2)
    return np.asarray(stacked.reshape(len(pixels), -1) / np.float32(255), np.float32)


def learn_cnn(lesson: Lesson) -> Answer:
    """Learn a network with four convolutions; a fifth of the groups sets its temperature."""
    learned, kept = group_folds(lesson, 5)[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network(len(lesson.labels))
        _train(network, lesson.rows[learned], lesson.targets[learned])
    network.eval()
    temperature = fit_temperature(_logits(network, lesson.rows[kept]), lesson.targets[kept])
    return lambda rows: softmax(_logits(network, rows) / temperature)


def _network(labels: int) -> nn.Module:
    layers: list[nn.Module] = []
    width = 3
    for channels in (16, 32, 64, 64):
        layers += [
            nn.Conv2d(width, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        width = channels
    pooled: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *pooled, nn.Linear(width, labels))


def _train(network: nn.Module, rows: Matrix, targets: NDArray[np.intp]) -> None:
    pictures = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).view(-1, 3, _SIDE, _SIDE)
    truth = torch.from_numpy(targets.astype(np.int64))
    shares = 1.0 / np.bincount(targets)[targets]
    weights = torch.from_numpy(shares / shares.sum())
    steps = max(1, len(truth) // _BATCH) * _EPOCHS
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.05)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    network.train()
    for _ in range(steps):
        chosen = torch.multinomial(weights, min(_BATCH, len(truth)), replacement=True)
        turned = torch.rot90(pictures[chosen], int(torch.randint(4, ())), (2, 3))
        # Other light and another stain: a factor for each picture and channel.
        shaded = turned * (1 + 0.1 * torch.randn(len(chosen), 3, 1, 1))
        loss = nnf.cross_entropy(network(shaded), truth[chosen], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        plan.step()


@torch.inference_mode()
def _logits(network: nn.Module, rows: Matrix) -> NDArray[np.float64]:
    pictures = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).view(-1, 3, _SIDE, _SIDE)
    return np.concatenate([network(part).numpy() for part in pictures.split(256)]).astype(
        np.float64
    )
