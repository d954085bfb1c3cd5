"""Blends of GalSim galaxies in three bands with LSST-like noise, and each galaxy alone in the same noise."""

import galsim
import numpy as np
from astropy.table import Table
from blendimpact.data.images import BandImage, Patch
from blendimpact.data.psf import psf_pixels
from blendimpact.stats.streams import stream
from patch_maker import SCALE, tan_wcs

FWHM = {"g": 0.86, "r": 0.81, "i": 0.79}
SIGMA = {"g": 0.020, "r": 0.023, "i": 0.037}  # of a pixel, zero point 27: LSST Y10
PSF = {band: {"kind": "kolmogorov", "fwhm": fwhm} for band, fwhm in FWHM.items()}
STAMP = 61


def galaxy(x, y, flux, hlr=0.5, n=1.0, g1=0.0, g2=0.0, colour=(0.6, 0.85, 1.0)):
    """One Sersic galaxy (a star if hlr is 0); ``flux`` in i, ``colour``: fluxes relative to it in g, r, i."""
    return dict(x=x, y=y, flux=dict(zip(FWHM, flux * np.array(colour))), hlr=hlr, n=n, g1=g1, g2=g2)


def draw(source, band, shape):
    """Draw one source without noise."""
    profile = galsim.Kolmogorov(fwhm=FWHM[band])
    if source["hlr"]:
        body = galsim.Sersic(n=source["n"], half_light_radius=source["hlr"])
        profile = galsim.Convolve(body.shear(g1=source["g1"], g2=source["g2"]), profile)
    image = galsim.ImageD(shape[1], shape[0], scale=SCALE)
    return (
        profile.withFlux(source["flux"][band])
        .drawImage(image, center=galsim.PositionD(source["x"] + 1, source["y"] + 1))
        .array
    )


def blend(sources, shape, *key, noise=True):
    """Return the patch, the centres, and {band: (N, ny, nx)}: each source alone, with the patch's noise."""
    bands, alone = {}, {}
    for band in FWHM:
        light = np.stack([draw(s, band, shape) for s in sources])
        sky = stream(1, "galaxy_maker", *key, band).normal(0, SIGMA[band], shape) * noise
        bands[band] = BandImage(
            band=band,
            science=(light.sum(axis=0) + sky).astype(np.float32),
            variance=np.full(shape, SIGMA[band] ** 2, np.float32),
            mask=np.zeros(shape, np.uint8),
            psf=psf_pixels(PSF[band], SCALE),
            wcs=tan_wcs(),
            zero_point=27.0,
            gain=1e9,
            psf_model=PSF[band],
        )
        alone[band] = light + sky
    return Patch(0, "zero", 0.0, bands, 0), centres([(s["x"], s["y"]) for s in sources]), alone


def centres(xy):
    """Table of centres."""
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    return Table({"det_id": np.arange(len(x)) + 1, "x": x, "y": y})


def pairs(count, *key):
    """Blends of two galaxies 0.8 to 2.4 arcsec apart: list of lists of sources on 71 pixels."""
    blends = []
    for k in range(count):
        rng = stream(1, "pairs", *key, k)
        distance, angle = rng.uniform(0.8, 2.4) / SCALE, rng.uniform(0, 2 * np.pi)
        middle = 35 + rng.uniform(-0.5, 0.5, 2)
        step = 0.5 * distance * np.array([np.cos(angle), np.sin(angle)])
        blends.append(
            [
                galaxy(
                    *(middle + sign * step),
                    flux=10 ** rng.uniform(0.6, 1.6),
                    hlr=rng.uniform(0.2, 0.6),
                    n=rng.choice([1.0, 1.5, 2.5]),
                    g1=rng.uniform(-0.2, 0.2),
                    g2=rng.uniform(-0.2, 0.2),
                    colour=(rng.uniform(0.3, 0.9), rng.uniform(0.6, 1.0), 1.0),
                )
                for sign in (-1, 1)
            ]
        )
    return blends


def aperture_errors(deblender, blends, radius=0.6, band=2):
    """Return relative errors of the children's aperture fluxes (arcsec) against the isolated twins'."""
    errors = []
    for k, sources in enumerate(blends):
        patch, table, alone = blend(sources, (71, 71), "errors", k)
        children = deblender.deblend(patch, {}, table, STAMP)
        name = list(FWHM)[band]
        for i, source in enumerate(sources):
            yy, xx = np.indices((71, 71))
            inside = np.hypot(xx - source["x"], yy - source["y"]) < radius / SCALE
            own = np.zeros((71, 71))
            rows = slice(max(0, children.y0[i]), min(71, children.y0[i] + STAMP))
            columns = slice(max(0, children.x0[i]), min(71, children.x0[i] + STAMP))
            own[rows, columns] = children.stamps[i, band][
                rows.start - children.y0[i] : rows.stop - children.y0[i],
                columns.start - children.x0[i] : columns.stop - children.x0[i],
            ]
            light = draw(source, name, (71, 71))[inside].sum()
            errors.append((own[inside].sum() - alone[name][i][inside].sum()) / light)
    return np.array(errors)
