"""Rows of the truth that describe the sources of an injection catalogue, as `profiles.draw_source` takes them."""

import galsim
import numpy as np

from ..data.frames import jacobian, pixel_to_sky, sky_to_pixel
from ..populations.extras import extras_of
from ..populations.source_types import SOURCE_TYPES
from .blends import sky_shape_to_pixels
from .half_light import half_light_radius
from .injection_flags import INJECTED_IDS


def injected_rows(catalogue, patch, image, bands, reference, extras):
    """Return the truth rows of a catalogue: positions in this twin, shapes along the axes of its image.

    Parameters
    ----------
    catalogue : Table
        As for `injection.inject`.
    patch : Patch
    image : BandImage
        Its first.
    bands : dict of str to object with an attribute ``image``
    reference : str
        Band of the half-light radius.
    extras : dict
        Columns that are copied.

    Returns
    -------
    list of dict
        One per row of the catalogue.
    """
    names = catalogue.colnames
    n = len(catalogue)
    if "x" in names and "y" in names:
        x, y = np.asarray(catalogue["x"], float), np.asarray(catalogue["y"], float)
    elif n:
        x, y = sky_to_pixel(image.wcs, catalogue["ra"], catalogue["dec"])
    else:
        x = y = np.empty(0)
    inside = patch.inside(x, y)  # before shear, so that both twins have the same targets
    if patch.shear:
        (a, b), (c, d) = galsim.Shear(g1=patch.shear).getMatrix()
        cx, cy = (patch.shape[1] - 1) / 2, (patch.shape[0] - 1) / 2
        x, y = cx + a * (x - cx) + b * (y - cy), cy + c * (x - cx) + d * (y - cy)
    ra, dec = pixel_to_sky(image.wcs, x, y) if n else (x, y)
    out = []
    for k, source in enumerate(catalogue):
        kind = SOURCE_TYPES[source["source_type"]][0]
        number = int(source["injection_id"])
        row = {
            "source_id": INJECTED_IDS + number,
            "injection_id": number,
            "kind": kind,
            "x": float(x[k]),
            "y": float(y[k]),
            "ra": float(ra[k]),
            "dec": float(dec[k]),
            "role": "target" if inside[k] else "scene",
            "injection_flag": 0,
            "stamp": "",
            "hlr": np.nan,
            "redshift": float(source["redshift"]) if "redshift" in names else np.nan,
            "ambiguous": False,
            "evolution": str(source["evolution"]) if "evolution" in names else "",
            **extras_of(source, extras),
        }
        for name, band in bands.items():
            row[f"mag_{name}"] = mag = float(source[f"mag_{name}"])
            row[f"flux_{name}"] = float(10 ** np.clip(0.4 * (band.image.zero_point - mag), -300, 300))
            row[f"snr_{name}"] = row[f"purity_{name}"] = row[f"bulge_fraction_{name}"] = np.nan
        _profile(row, source, names, kind, image, bands, reference)
        out.append(row)
    return out


def _profile(row, source, names, kind, image, bands, reference):
    for part in ("bulge", "disk"):
        for key in ("hlr", "n", "g1", "g2"):
            value = source[f"{key}_{part}"] if kind == "galaxy" and f"{key}_{part}" in names else np.nan
            row[f"{key}_{part}"] = float(value)
    row["trail_length"], row["trail_angle"] = np.nan, np.nan
    if kind == "galaxy":
        for name in bands:
            row[f"bulge_fraction_{name}"] = float(source[f"bulge_fraction_{name}"])
        row["hlr"] = float(
            half_light_radius(
                row[f"bulge_fraction_{reference}"], row["hlr_bulge"], row["hlr_disk"], row["n_bulge"], row["n_disk"]
            )
        )
    elif kind == "sersic":
        q = float(source["q"])
        row["hlr"] = row["hlr_disk"] = float(source["half_light_radius"])
        row["n_disk"] = float(source["n"])
        if 0 < q <= 1:
            row["g1_disk"], row["g2_disk"] = sky_shape_to_pixels(
                q, float(source["beta"]), jacobian(image.wcs, row["x"], row["y"])
            )
    elif kind == "trail":
        row["trail_length"], row["trail_angle"] = float(source["trail_length"]), float(source["beta"])
    elif kind == "stamp":
        row["stamp"] = str(source["stamp"])
    elif kind == "comet":
        pass  # all it has are extras; a half-light radius before the PSF it has none that fits the coma's meaning
    else:
        row["hlr"] = 0.0
