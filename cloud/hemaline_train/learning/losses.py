"""What a network is taught: the manifest's labels, a teacher's answers, a teacher's features."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as nnf

from hemaline_train.learning.networks import Answer, Network
from hemaline_train.learning.training_set import UNKNOWN


class Targets(NamedTuple):
    """What a batch of pictures shows.

    Attributes:
        labels: Shape (n, tasks), places among the labels or `UNKNOWN`.
        weight: Shape (n,): how much of each picture shows it.
    """

    labels: torch.Tensor
    weight: torch.Tensor


class Faculty(nn.Module):
    """Teachers that answer together: the mean of their logits, their features side by side."""

    def __init__(self, teachers: Sequence[Network]) -> None:
        super().__init__()
        self._teachers = nn.ModuleList(teachers)
        self.channels = sum(teacher.head.in_features for teacher in teachers)

    def forward(self, pixels: torch.Tensor) -> Answer:
        """Answer for crops of 0..1, shape (n, 3, CROP_PX, CROP_PX)."""
        answers = [teacher(pixels) for teacher in self._teachers]
        logits = torch.stack([one.logits.float() for one in answers]).mean(dim=0)
        return Answer(logits, torch.cat([one.features.float() for one in answers], dim=1))


class Lesson(nn.Module):
    """The loss of a batch: labels, and what a teacher says where there is one.

    The teacher sees the very crops that the pupil sees, so that the pupil learns its function and
    not its answers to a few pictures (Beyer et al. 2022, "Knowledge distillation: a good teacher
    is patient and consistent").

    Args:
        heads: Task name -> where its logits lie.
        shares: Task name -> its part of the loss.
        smoothing: Label smoothing.
        teacher_share: The part of the labels' loss that the teacher's answers take.
        temperature: Softens both answers.
        feature_weight: Of the distance between pooled features.
        channels: The pupil's and the teacher's pooled features; None without a teacher.
    """

    def __init__(
        self,
        heads: Mapping[str, slice],
        shares: Mapping[str, float],
        *,
        smoothing: float,
        teacher_share: float,
        temperature: float,
        feature_weight: float,
        channels: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        self._heads = dict(heads)
        self._shares = dict(shares)
        self._smoothing = smoothing
        self._teacher_share = teacher_share
        self._temperature = temperature
        self._feature_weight = feature_weight
        self.view: nn.Module | None = None
        if channels is not None:
            self.view = nn.Linear(*channels)
            self.spread = nn.BatchNorm1d(channels[1], affine=False)

    def forward(
        self,
        answer: Answer,
        targets: Sequence[Targets],
        views: torch.Tensor,
        taught: Answer | None,
    ) -> torch.Tensor:
        """Return the mean loss of a batch.

        Args:
            answer: Of the pupil.
            targets: What the pictures show; two of them where pictures were blended.
            views: Shape (n, tasks): which tasks look at this kind of picture.
            taught: The teacher's answer to the same crops.
        """
        total = answer.logits.new_zeros(())
        for column, (name, part) in enumerate(self._heads.items()):
            labels = self._labels_loss(answer.logits[:, part], targets, column)
            if taught is not None:
                copied = self._copy_loss(
                    answer.logits[:, part], taught.logits[:, part], views[:, column]
                )
                labels = (1 - self._teacher_share) * labels + self._teacher_share * copied
            total = total + self._shares[name] * labels
        if taught is not None and self.view is not None:
            aims = self.spread(taught.features)
            apart = 1 - nnf.cosine_similarity(self.view(answer.features), aims)
            total = total + self._feature_weight * apart.mean()
        return total

    def _labels_loss(
        self, logits: torch.Tensor, targets: Sequence[Targets], column: int
    ) -> torch.Tensor:
        summed, known = logits.new_zeros(()), logits.new_zeros(())
        for labels, weight in targets:
            each = nnf.cross_entropy(
                logits,
                labels[:, column],
                ignore_index=UNKNOWN,
                label_smoothing=self._smoothing,
                reduction="none",
            )
            summed = summed + (each * weight).sum()
            known = known + (weight * (labels[:, column] != UNKNOWN)).sum()
        return summed / known.clamp(min=1)

    def _copy_loss(
        self, logits: torch.Tensor, taught: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor:
        softened = nnf.log_softmax(logits / self._temperature, dim=1)
        aims = nnf.log_softmax(taught / self._temperature, dim=1)
        apart = nnf.kl_div(softened, aims, reduction="none", log_target=True).sum(dim=1)
        return (apart * seen).sum() / seen.sum().clamp(min=1) * self._temperature**2


class Pupil(nn.Module):
    """A network with its lesson: one module, so that several GPUs can average its gradients."""

    def __init__(self, network: Network, lesson: Lesson) -> None:
        super().__init__()
        self.network = network
        self.lesson = lesson

    def forward(
        self,
        pixels: torch.Tensor,
        targets: Sequence[Targets],
        views: torch.Tensor,
        taught: Answer | None,
    ) -> torch.Tensor:
        """Return the mean loss of a batch of pixels of 0..1."""
        answer = Answer(*(part.float() for part in self.network(pixels)))
        loss: torch.Tensor = self.lesson(answer, targets, views, taught)
        return loss
