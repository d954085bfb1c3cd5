"""Types of options that several plug-ins have."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .models import Distinct, Number, Pair, Positive, Share, Text, Whole, ascending

__all__ = [
    "Bands",
    "Child",
    "Count",
    "Kernel",
    "NotNegative",
    "Number",
    "Positive",
    "Range",
    "Share",
    "Spectrum",
    "Text",
    "Whole",
]

Count = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Number, Field(ge=0)]
Range = Annotated[Pair, AfterValidator(ascending)]
"""The least and the largest."""
Bands = Annotated[list[Text], Distinct] | None
"""Bands that are used; None: all of the patch."""
Spectrum = dict[str, Number] | None
"""Weight of each band; None: the same flux density in all."""
Kernel = Literal["psf", "3x3"] | None
"""What an image is smoothed with before it is thresholded."""
Child = Literal["residual", "apportion", "model"]
"""What the child image of a fitted source is: see `fitting.canvas.Canvas.children`."""
