"""How objects are measured: the options of `blendimpact.measure`."""

from typing import Annotated

from pydantic import Field, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from .models import Model, Number, Options, Positive, Whole


class SkyEstimate(Model):
    """How the sky is estimated."""

    known: bool = Field(False, description="true: the sky is known to be 0, nothing is estimated.")
    mesh: Positive = Field(25.6, description="Width of a mesh cell, arcsec (128 LSST pixels, as in LSST's pipelines).")
    filter: Whole = Field(3, ge=1, description="Width in cells of the median filter over the mesh; 1 does not filter.")
    threshold: Positive = Field(
        3.0, description="Threshold of the object mask, standard deviations of the image that is smoothed with the PSF."
    )
    min_area: Whole = Field(5, ge=1, description="Least number of connected pixels of an object.")
    grow: Number = Field(1.2, ge=0, description="Arcsec by which the object mask is grown.")


def _factor(value, check):
    if isinstance(value, str) and value != "image":
        raise PydanticCustomError("study", "must be a number, or image")
    return value if value == "image" else check(value)


Correlation = Annotated[
    Positive,
    WrapValidator(_factor),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "image"}]}),
]


class Measure(Model):
    """How child images are measured."""

    aperture_diameter: Positive = Field(2.0, description="Diameter of the circular aperture, arcsec.")
    sky: SkyEstimate = Field(SkyEstimate(), description="How the sky is estimated.")
    measurements: dict[str, Options | None] = Field(
        {},
        description="Measurements beside those that the case needs, and options of all, by name; null removes one. "
        "Cases with a subtractor measure differences, and have none.",
    )
    noise_correlation: Correlation = Field(
        1.0,
        description="Factor by which correlations between pixels raise the errors of fluxes and positions; image: "
        "what the correlation that was measured on the adopted image makes of each.",
    )

    def plain(self):
        plain = super().plain()
        return {**plain, "measurements": {k: v for k, v in plain["measurements"].items() if v is not None}}
