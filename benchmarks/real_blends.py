"""Deblenders on real pixels: two HSC blends (grizy), and HSC sky of which HST has a sharper image.

Blends: every deblender gets the published centres of scarlet's two HSC cut-outs. Printed are each source's i flux in a
circle of 1.2 arcsec relative to the median of the deblenders, and what the models leave of the image (chi^2 per pixel,
which does not rank deblenders). A PNG has the residual maps.

Space truth: centres and F814W fluxes from sep on the HST images. The images are normalised, so that only ratios
of fluxes within an image mean something: i / F814W, divided by its median over the sources of the deblender. A few
sources only: intervals are bootstrap over sources.

The data are none of the project's (--data says where; tests marked `real` use the same functions).
"""

import os
import sys
from pathlib import Path

from common import ROOT, options, print_conditions, print_table

sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np
import sep
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from blendimpact.data.children import Children
from blendimpact.data.images import BandImage, Patch
from blendimpact.data.matching import match
from blendimpact.deblend import DEBLENDERS
from blendimpact.detect import DETECTORS
from blendimpact.errors import StudyError
from blendimpact.measure.photometry import circular
from blendimpact.stats.streams import stream

DATA = Path(os.environ.get("BLENDIMPACT_REALDATA", ROOT.parent / "shared" / "realdata")) / "hsc_hst_scarlet"
BLENDS = ("hsc_cosmos_35", "hsc_cosmos")
PAIRS = ("", "1")
HSC_SCALE, STAMP, RADIUS = 0.168, 61, 1.2
NAMES = ("joint_fit", "scarlet2_sersic", "scarlet2_free", "symmetric", "sep", "photutils")


def make_patch(images, variance, mask, psfs, bands="grizy"):
    """Return a `Patch` of HSC pixels (nbands, ny, nx)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-HSC_SCALE / 3600, HSC_SCALE / 3600]
    made = {}
    for k, band in enumerate(bands):
        made[band] = BandImage(
            band,
            images[k].astype(np.float32),
            variance[k].astype(np.float32),
            mask[k].astype(np.uint8),
            psfs[k] / psfs[k].sum(),
            wcs,
            27.0,
            1e9,
            {},
        )
    return Patch(0, "zero", 0.0, made, 0)


def noise_variance(images):
    """Return the variance of each band, constant, from the lower half of the pixel values about their mode."""
    level = np.array([sep.Background(np.ascontiguousarray(i, dtype=np.float64)).globalrms for i in images])
    return np.broadcast_to(level[:, None, None] ** 2, images.shape)


def centres(x, y):
    """Return a table of centres."""
    return Table({"det_id": np.arange(len(x)) + 1, "x": np.asarray(x, float), "y": np.asarray(y, float)})


def read_blend(name, data=DATA):
    """Return the patch and the published centres of a blend."""
    file = np.load(data / f"{name}.npz")
    images = file["images"]
    variance = file["variance"] if "variance" in file else noise_variance(images)
    # The mask's other planes (detected, bright neighbour, ...) are no defects; pixels without variance are.
    mask = ~(np.isfinite(images) & (variance > 0))
    return make_patch(images, variance, mask, file["psfs"]), centres(file["catalog"]["x"], file["catalog"]["y"])


def read_pair(name, data=DATA):
    """Return the HSC patch, and centres (HSC pixels) and F814W fluxes of sources found by sep on the HST image."""
    hsc, hst = (fits.open(data / f"Cut_{kind}{name}.fits")[0] for kind in ("HSC", "HST"))
    images, sharp = (np.ascontiguousarray(h.data, dtype=np.float64) for h in (hsc, hst))
    psfs = fits.getdata(data / "PSF_HSC.fits").astype(float)
    background = sep.Background(sharp, bw=64, bh=64)
    sharp = sharp - background
    found = sep.extract(sharp, 2.0, err=background.globalrms, minarea=12, deblend_cont=0.005)
    kron = np.clip(sep.kron_radius(sharp, found["x"], found["y"], found["a"], found["b"], found["theta"], 6.0)[0], 2, 6)
    flux, error, _ = sep.sum_ellipse(
        sharp, found["x"], found["y"], found["a"], found["b"], found["theta"], 2.5 * kron, err=background.globalrms
    )
    place = WCS(hst.header).celestial.pixel_to_world(found["x"], found["y"])
    x, y = WCS(hsc.header).celestial.world_to_pixel(place)
    ny, nx = images.shape[1:]
    use = (x > 1) & (x < nx - 2) & (y > 1) & (y < ny - 2) & (flux > 5 * error)
    variance = noise_variance(images)
    patch = make_patch(images, variance, np.zeros(images.shape), psfs)
    return patch, centres(x[use], y[use]), flux[use]


def deblend(name, patch, table):
    """Return children, and models or None for a deblender that has none."""
    deblender = DEBLENDERS.create(name)
    if not hasattr(deblender, "fit"):
        return deblender.deblend(patch, {}, table, STAMP), None
    fit = deblender.fit(patch, {}, np.array(table["x"]), np.array(table["y"]))
    children = Children.blank(patch, table, STAMP)
    return fit.canvas.children(children, np.arange(len(table)), "apportion", 1.0), fit


def fluxes(children, table, band, radius=RADIUS):
    """Return each child's flux in a circle about its centre, radius in arcsec."""
    stamps = children.stamps[:, band].astype(float)
    return circular(
        stamps,
        np.ones_like(stamps),
        np.array(table["x"]) - children.x0,
        np.array(table["y"]) - children.y0,
        radius / HSC_SCALE,
    )[0]


def total(children, shape):
    """Return the sum of the children on the image, (nbands, ny, nx)."""
    ny, nx = shape
    size = children.size
    sheet = np.zeros((children.stamps.shape[1], ny + 4 * size, nx + 4 * size))
    for k in range(len(children)):
        y, x = children.y0[k] + 2 * size, children.x0[k] + 2 * size
        sheet[:, y : y + size, x : x + size] += children.stamps[k]
    return sheet[:, 2 * size : 2 * size + ny, 2 * size : 2 * size + nx]


def residual(patch, fit):
    """Return the image minus all models, in sigmas of the noise, (nbands, ny, nx)."""
    c = fit.canvas
    inner = slice(c.pad, c.pad + patch.shape[0]), slice(c.pad, c.pad + patch.shape[1])
    return (c.residual(inner)) * np.sqrt(c.noise_weight[(slice(None), *inner)])


def on_blend(name, data=DATA, names=NAMES):
    """Return {deblender: (i fluxes, chi^2 per pixel or NaN, residual map of i or None)} of a blend."""
    patch, table = read_blend(name, data)
    result = {}
    for member in names:
        children, fit = deblend(member, patch, table)
        left = residual(patch, fit) if fit else None
        result[member] = (
            fluxes(children, table, 2),
            float((left**2).mean()) if fit else np.nan,
            left[2] if fit else None,
        )
    return patch, table, result


def on_pair(name, data=DATA, names=NAMES):
    """Return {deblender: i fluxes} and the HST fluxes, and how many HST sources each detector leaves alone."""
    patch, table, truth = read_pair(name, data)
    result = {member: fluxes(deblend(member, patch, table)[0], table, 2) for member in names}
    found = {}
    for detector in ("sep", "peaks"):
        rows = DETECTORS.create(detector).detect(patch, {}).table
        found[detector] = len(match(np.c_[table["x"], table["y"]], np.c_[rows["x"], rows["y"]], 0.6 / HSC_SCALE))
    return result, truth, found


def spread(ratio, key):
    """Return median and NMAD with 68 % intervals from a bootstrap over sources, as text."""
    rng = stream(20181116, "real_blends", key)
    draws = ratio[rng.integers(0, len(ratio), (1000, len(ratio)))]
    middle = np.median(draws, axis=1)
    nmad = 1.4826 * np.median(np.abs(draws - middle[:, None]), axis=1)
    value = 1.4826 * np.median(np.abs(ratio - np.median(ratio)))
    return f"{value:.2f} [{np.percentile(nmad, 16):.2f}, {np.percentile(nmad, 84):.2f}]"


def figure(path, maps):
    """Write the residual maps: one row per blend, one column per deblender that has models."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = max(len(m) for _, m in maps)
    fig, axes = pyplot.subplots(
        len(maps), columns, figsize=(2.6 * columns, 3.1 * len(maps)), squeeze=False, layout="constrained"
    )
    for row, (name, panels) in zip(axes, maps):
        for ax in row[len(panels) :]:
            ax.axis("off")
        for ax, (label, image, table) in zip(row, panels):
            shown = ax.imshow(image, origin="lower", cmap="RdBu_r", vmin=-5, vmax=5)
            ax.plot(table["x"], table["y"], "k+", ms=6)
            ax.set_title(f"{name}\n{label}", fontsize=8)
            ax.set_xticks([])
            ax.set_yticks([])
    fig.colorbar(shown, ax=axes, shrink=0.6, label="i residual / noise")
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)


def main():
    """Measure and print."""
    parser = options(__doc__, "the same")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--deblenders", nargs="+", default=list(NAMES))
    parser.add_argument("--png", type=Path, default=Path(__file__).parent / "output" / "real_blends.png")
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"no real data in {args.data}: give --data")
    print_conditions()
    maps = []
    for name in BLENDS:
        try:
            patch, table, result = on_blend(name, args.data, args.deblenders)
        except StudyError as error:
            raise SystemExit(str(error)) from None
        median = np.median([flux for flux, _, _ in result.values()], axis=0)
        order = np.argsort(-median)
        print_table(
            f'{name}: i flux in 1.2" relative to the median of the deblenders, brightest first',
            ["deblender", *(f"{median[k]:.3g}" for k in order), "chi2/pixel"],
            [
                [member, *(f"{flux[k] / median[k]:.3f}" for k in order), f"{chi2:.2f}"]
                for member, (flux, chi2, _) in result.items()
            ],
        )
        maps.append(
            (
                name,
                [("image / noise", patch.bands["i"].science / np.sqrt(patch.bands["i"].variance) / 20, table)]
                + [(member, left, table) for member, (_, _, left) in result.items() if left is not None],
            )
        )
    figure(args.png, maps)
    print(f"residual maps: {args.png}")
    both = [on_pair(name, args.data, args.deblenders) for name in PAIRS]
    lines = []
    for member in args.deblenders:
        ratio = np.concatenate([r[member] / truth / np.median(r[member] / truth) for r, truth, _ in both])
        lines.append([member, str(len(ratio)), spread(ratio, member), f"{(np.abs(ratio - 1) > 0.5).sum()}"])
    print_table(
        "HSC i against HST F814W",
        ["deblender", "sources", "NMAD of i / F814W", "> 50 % off"],
        lines,
        ["ratio over its median in each field: colours and aperture losses are in the scatter"],
    )
    count = sum(len(truth) for _, truth, _ in both)
    print_table(
        "HST sources that an HSC detector finds",
        ["detector", "of", "found", "merged or missed"],
        [[d, str(count), str(n := sum(f[d] for _, _, f in both)), str(count - n)] for d in both[0][2]],
    )


if __name__ == "__main__":
    main()
