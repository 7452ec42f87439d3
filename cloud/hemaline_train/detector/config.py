"""The settings of a detector's training run: a flat TOML file."""

from pydantic import BaseModel, ConfigDict, Field


class DetectorConfig(BaseModel):
    """Everything that decides a detector; the data's place does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    data_sets: dict[str, float] = Field(min_length=1)
    """Data set -> its part of the draws; they are scaled to a sum of 1."""
    seed: int = 0
    fold: int = Field(default=-1, ge=-1)
    """-1 judges on the manifests' val part; otherwise on this one of `folds` parts of the train
    groups, which are then not trained on."""
    folds: int = Field(default=4, ge=2)

    width: int = Field(default=32, ge=8)
    """Channels at the answers' resolution; 2 and 4 times as many below it."""
    scene_px: int = Field(default=192, ge=64, multiple_of=16)
    """Side of a training scene at 0.3 µm per pixel."""
    epochs: int = Field(default=60, ge=1)
    scenes_per_epoch: int = Field(default=1024, ge=2)
    batch_size: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warm_up: float = Field(default=0.1, gt=0, lt=1)
    average_decay: float = Field(default=0.998, ge=0, lt=1)
    """Of the moving average of the weights, for each step; the average is what is kept."""
    box_weight: float = Field(default=2.0, ge=0)
    others_weight: float = Field(default=0.3, ge=0)
    """Of the maps of red cells and platelets, which teach what is no white cell."""

    mosaic: float = Field(default=0.5, ge=0, le=1)
    """Part of the scenes that are put together from four fields."""
    paste: float = Field(default=0.4, ge=0, le=1)
    """Part of the fields into which cells of other fields are pasted."""
    zoom: float = Field(default=0.15, ge=0)
    """Standard deviation of the natural logarithm: `estimate_scale` errs so."""
    stain: float = Field(default=0.6, ge=0)
    """Largest change of the stains' density, natural logarithm."""
    light: float = Field(default=0.08, ge=0)
    """Largest error of the background's surface, natural-log units."""
    blur: float = Field(default=1.8, ge=0)
    """Largest standard deviation, in pixels of 0.3 µm; half of the fields are blurred."""
    noise: float = Field(default=0.06, ge=0)
    """Largest standard deviation, natural-log units."""
