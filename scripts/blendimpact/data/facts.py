"""Facts of the images of a chunk that scoring needs; the metadata of tables carry them."""

import json
from dataclasses import dataclass, field

from .transient_geometry import THRESHOLD

PATCHES_META, DEPTH_META, FWHM_META, EPOCHS_META = "patches", "depth", "psf_fwhm", "epochs"
"""Keys of the metadata of truth tables, of JSON: see the attributes of `Facts` of the same names."""
THRESHOLD_META = "search_threshold"
"""Key of the metadata of measurements on differences."""


@dataclass(frozen=True)
class Facts:
    """What is known of the images of a chunk.

    Attributes
    ----------
    pixel_scale : float
        Arcsec.
    zero_point : float
        AB magnitude of the images' unit.
    psf_fwhm : dict of str to float
        By band, arcsec.
    patches : list of (patch, block, twin)
        What was made; a patch without a source has no row in the truth.
    depth : dict of str to dict
        By patch, then band: 5-sigma depth, AB.
    epochs : dict of str to dict
        By block, then band: facts of the visit and its template (`sky.epochs`); empty without epochs.
    threshold : float
        Of the search of differences, sigma.
    """

    pixel_scale: float
    zero_point: float
    psf_fwhm: dict
    patches: list
    depth: dict = field(default_factory=dict)
    epochs: dict = field(default_factory=dict)
    threshold: float = THRESHOLD

    @classmethod
    def of(cls, tables):
        """Return the facts that tables carry, {name: Table}: "truth" and, of differences, any of the measurements."""
        meta = tables["truth"].meta
        searched = [table.meta[THRESHOLD_META] for table in tables.values() if THRESHOLD_META in table.meta]
        return cls(
            meta["pixel_scale"],
            meta["zero_point"],
            json.loads(meta[FWHM_META]),
            json.loads(meta[PATCHES_META]),
            json.loads(meta.get(DEPTH_META, "{}")),
            json.loads(meta.get(EPOCHS_META, "{}")),
            searched[0] if searched else THRESHOLD,
        )
