"""What the panels of the ladders show; `report.panel` and `report.triplets` draw them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NoPanel:
    """Nothing can be shown, for the reason that is said."""

    reason: str


@dataclass(frozen=True)
class BlendPanel:
    """One blend through the rungs; the attributes are the parameters of `report.panel.draw_blend`."""

    children: dict
    titles: dict
    noise: list
    caption: str
    centres: np.ndarray
    scale: float
    field: dict | None = None


@dataclass(frozen=True)
class TransientPanel:
    """Transients and their differences; the attributes are the parameters of `report.triplets.draw_triplets`."""

    rows: list
    columns: dict
    caption: str
    scale: float
