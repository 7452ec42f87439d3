"""What a network is taught: the manifest's labels, a teacher's answers, a teacher's features."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as nnf

from hemaline_train.networks import Answer, Network
from hemaline_train.training_set import UNKNOWN


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
        targets: torch.Tensor,
        views: torch.Tensor,
        taught: Answer | None,
    ) -> torch.Tensor:
        """Return the mean loss of a batch.

        Args:
            answer: Of the pupil.
            targets: Shape (n, tasks).
            views: Shape (n, tasks): which tasks look at this kind of picture.
            taught: The teacher's answer to the same crops.
        """
        total = answer.logits.new_zeros(())
        for column, (name, part) in enumerate(self._heads.items()):
            labels = self._labels_loss(answer.logits[:, part], targets[:, column])
            if taught is not None:
                copied = self._copy_loss(
                    answer.logits[:, part], taught.logits[:, part].float(), views[:, column]
                )
                labels = (1 - self._teacher_share) * labels + self._teacher_share * copied
            total = total + self._shares[name] * labels
        if taught is not None and self.view is not None:
            aims = self.spread(taught.features.float())
            apart = 1 - nnf.cosine_similarity(self.view(answer.features), aims)
            total = total + self._feature_weight * apart.mean()
        return total

    def _labels_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        known = (targets != UNKNOWN).sum().clamp(min=1)
        summed = nnf.cross_entropy(
            logits,
            targets,
            ignore_index=UNKNOWN,
            label_smoothing=self._smoothing,
            reduction="sum",
        )
        return summed / known

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
        targets: torch.Tensor,
        views: torch.Tensor,
        taught: Answer | None,
    ) -> torch.Tensor:
        """Return the mean loss of a batch of pixels of 0..1."""
        answer = Answer(*(part.float() for part in self.network(pixels)))
        loss: torch.Tensor = self.lesson(answer, targets, views, taught)
        return loss
