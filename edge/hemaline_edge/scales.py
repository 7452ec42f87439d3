"""The scale of a device's optics: pooled over its fields, and one for a slide.

The red cells of one field tell the scale to about a tenth; those of many fields tell it to a few
per cent. So a slide takes what the device's earlier fields say, at its first good field, and keeps
it to its end, through restarts too. A slide whose first field is far off was taken through another
objective, which has a pool of its own.
"""

import json
import logging
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import RgbImage, Scale

logger = logging.getLogger(__name__)

SCALES_FILE = "scales.json"

OTHER_OPTICS = 1.4
"""Fields through one objective lie within a factor of 1.25 of their median (bccd, chula-wbc5,
txl-pbc); objectives of 100, 60 or 50, 40 and 20 times are 1.67 and more apart."""

_POOL = 64
_OPTICS_KEPT = 8
_SLIDES_KEPT = 64


@dataclass(slots=True)
class _Known:
    """What is kept: pools of estimates, the latest used last, and the scales of slides.

    Both by the size of the pictures: half the pixels are twice as large.
    """

    pools: dict[str, list[list[float]]] = field(default_factory=dict)
    slides: dict[str, dict[str, Any]] = field(default_factory=dict)


class DeviceScales:
    """Gives each field its slide's scale. One thread calls it."""

    def __init__(
        self,
        directory: Path,
        configured_um_per_px: float | None,
        estimate: Callable[[RgbImage], Scale] = estimate_scale,
    ) -> None:
        """Read what earlier runs learned; a damaged file is begun anew.

        Args:
            directory: Of the spool.
            configured_um_per_px: The optics that the device's settings name; then nothing is
                learned.
            estimate: Judges one field.
        """
        self._file = directory / SCALES_FILE
        self._configured = configured_um_per_px
        self._estimate = estimate
        self._known = _read(self._file)
        self._warned: set[UUID] = set()

    def scale_of(self, image: RgbImage, slide_id: UUID) -> tuple[Scale, Scale]:
        """Return the scale that a field is to have, and what it says of itself.

        Nothing is learned yet: a blurred field's red cells mislead. Call `keep` with both once the
        field is found good.
        """
        if self._configured is not None:
            scale = Scale(self._configured, "configured")
            return scale, scale
        own, size = self._estimate(image), _size(image)
        standing = self._known.slides.get(_key(slide_id, size))
        if standing:
            scale = Scale(**standing)
            self._tell_of_other_optics(slide_id, scale, own)
            return scale, own
        return self._pooled(own, size), own

    def keep(self, image: RgbImage, slide_id: UUID, scale: Scale, own: Scale) -> None:
        """Note a good field: its slide keeps the scale, its red cells join the pool."""
        if self._configured is not None:
            return
        size = _size(image)
        slides = self._known.slides
        slides.setdefault(
            _key(slide_id, size),
            {
                "um_per_px": scale.um_per_px,
                "source": scale.source,
                "fields": scale.fields,
                "spread": scale.spread,
            },
        )
        while len(slides) > _SLIDES_KEPT:
            del slides[next(iter(slides))]
        if own.source == "red-cells":
            self._join(own.um_per_px, scale, size)
        self._write()

    def _pooled(self, own: Scale, size: str) -> Scale:
        pools = self._known.pools.get(size, [])
        if own.source != "red-cells":
            # Too few red cells to tell: the objective that was used last.
            return _of_pool(pools[-1]) if pools else own
        near = [pool for pool in pools if _same_optics(statistics.median(pool), own.um_per_px)]
        if not near:
            if pools:
                logger.info(
                    "another objective: %.3g µm a pixel after %.3g",
                    own.um_per_px,
                    statistics.median(pools[-1]),
                )
            return _of_pool([own.um_per_px])
        return _of_pool([*near[-1], own.um_per_px])

    def _join(self, um_per_px: float, scale: Scale, size: str) -> None:
        if scale.source == "red-cells" and not _same_optics(scale.um_per_px, um_per_px):
            return  # one field that its slide does not believe
        pools = self._known.pools.setdefault(size, [])
        near = [pool for pool in pools if _same_optics(statistics.median(pool), um_per_px)]
        pool = near[-1] if near else []
        pool.append(um_per_px)
        del pool[:-_POOL]
        # The pool that was used last stands last.
        pools[:] = [*(one for one in pools if one is not pool), pool][-_OPTICS_KEPT:]

    def _tell_of_other_optics(self, slide_id: UUID, scale: Scale, own: Scale) -> None:
        apart = own.source == "red-cells" and not _same_optics(scale.um_per_px, own.um_per_px)
        if apart and slide_id not in self._warned:
            self._warned = {slide_id}
            logger.warning(
                "slide %s began with %.3g µm a pixel; the red cells of a field say %.3g: if the "
                "objective was changed, begin a new slide",
                slide_id,
                scale.um_per_px,
                own.um_per_px,
            )

    def _write(self) -> None:
        content = {"pools": self._known.pools, "slides": self._known.slides}
        new = self._file.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as out:
                json.dump(content, out)
                out.flush()
                os.fsync(out.fileno())
            new.replace(self._file)
        except OSError as error:
            # The field itself is safe; only a restart would have to learn anew.
            logger.warning("%s cannot be written: %s", self._file, error.strerror)


def _of_pool(estimates: list[float]) -> Scale:
    """Return the pool's scale: how many fields stand behind it, and how far they lie apart."""
    middle = statistics.median(estimates)
    apart = statistics.median(abs(one - middle) for one in estimates)
    # The median of absolute deviations, as the standard deviation of what is normal.
    spread = round(1.4826 * apart / middle, 4) if len(estimates) > 1 else None
    return Scale(middle, "red-cells", len(estimates), spread)


def _same_optics(one: float, two: float) -> bool:
    return max(one, two) <= OTHER_OPTICS * min(one, two)


def _size(image: RgbImage) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _key(slide_id: UUID, size: str) -> str:
    return f"{slide_id}/{size}"


def _read(file: Path) -> _Known:
    try:
        known = _Known(**json.loads(file.read_text(encoding="utf-8")))
        for pools in known.pools.values():
            for pool in pools:
                statistics.median(pool)
        for standing in known.slides.values():
            Scale(**standing)
    except FileNotFoundError:
        return _Known()
    except (OSError, ValueError, TypeError, AttributeError, statistics.StatisticsError) as error:
        logger.warning("%s cannot be read (%s): scales are learned anew", file, error)
        return _Known()
    return known
