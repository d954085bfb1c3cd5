"""What it costs to draw: CPU time per source and band, beside plain GalSim on the same sources and stamps.

Sources are those of patches of the two_point case. `draw_source` is the drawing alone; `simulate_patch` has everything
that makes a patch of it (population, photon noise, sky, truth with purities and signal-to-noise ratios, twins); the
stage reads the population and writes FITS and Parquet too, and its CPU time holds all that a job does after its
imports. Plain GalSim makes an object per source and calls `drawImage` on a stamp of the same size and place, with the
analytic classes where there are some. All are timed in turns in one process; the ratio is taken in each turn.
"""

import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path

from common import interleaved, options, population, print_conditions, print_table, read_config, spread

TARGET = 3.0
ROWS = (
    ("drawing", "drawing alone"),
    ("plain GalSim", "plain GalSim, drawImage"),
    ("patch", "simulate_patch"),
    ("stage", "the stage, with reading and writing"),
)


def scenes(settings, survey, tables, seed, patches):
    """Return what is drawn: a list of (row, image, shear), one per source, band and drawn twin."""
    from blendimpact.sky.patches import simulate_patch

    work = []
    for index in patches:
        for patch, truth in simulate_patch(
            settings, index, seed, settings["case"], settings["scenario"], survey, tables
        ):
            if patch.noise_sign == 1:  # the other one has the same light
                names = truth.colnames
                rows = [dict(zip(names, values)) for values in zip(*(truth[n].tolist() for n in names))]
                work += [(row, image, patch.shear) for image in patch.bands.values() for row in rows]
    return work


def galsim_object(row, band, shear, psf):
    """Return a source, convolved with the PSF, as a user of GalSim would write it."""
    import galsim

    if row["kind"] == "star":
        return psf.withFlux(row[f"flux_{band}"])
    bulge, parts = row[f"bulge_fraction_{band}"], []
    for weight, name in ((bulge, "bulge"), (1 - bulge, "disk")):
        n, size = row[f"n_{name}"], row[f"hlr_{name}"]
        if weight > 1e-4:
            part = galsim.Exponential(half_light_radius=size) if n == 1 else galsim.Sersic(n, half_light_radius=size)
            parts.append(weight * part.shear(g1=row[f"g1_{name}"], g2=row[f"g2_{name}"]))
    source = parts[0] if len(parts) == 1 else galsim.Add(parts)
    return galsim.Convolve(source.shear(g1=shear), psf).withFlux(row[f"flux_{band}"])


def draw_plain(row, image, shear, stamp, psf, scale):
    """Return the array of `drawImage` on the grid of a stamp."""
    size = len(stamp.array)
    offset = row["x"] - stamp.x0 - (size - 1) / 2, row["y"] - stamp.y0 - (size - 1) / 2
    return (
        galsim_object(row, image.band, shear, psf)
        .drawImage(nx=size, ny=size, scale=scale, offset=offset, dtype=float)
        .array
    )


def differences(work, draw, plain, step):
    """Return the largest difference of two drawings in per cent of their peak, one per source."""
    import numpy as np

    out = []
    for number in range(0, len(work), step):
        ours = draw(*work[number]).array
        out.append(100 * np.abs(ours - plain(number)).max() / np.abs(ours).max())
    return out


def main():
    """Measure and print."""
    parser = options(__doc__, "one patch of the smoke preset, two turns")
    parser.add_argument("--patches", type=int, metavar="N", help="default 2")
    parser.add_argument("--repetitions", type=int, metavar="N", help="turns, default 5")
    parser.add_argument("--preset", help="preset or file whose patches are drawn, default the laptop study")
    args = parser.parse_args()
    config = read_config(args.preset or ("smoke" if args.quick else None))

    from blendimpact.config.files import find
    from blendimpact.config.study import case_settings, stage_settings
    from blendimpact.config.surveys import load_survey
    from blendimpact.data.psf import psf_object
    from blendimpact.populations import read_tables
    from blendimpact.sky.patches import simulate_patch
    from blendimpact.sky.profiles import draw_source
    from blendimpact.stages import simulate

    print_conditions()
    settings = stage_settings(case_settings(config, "two_point"), "simulate")
    survey, seed = load_survey(settings["survey"]), config["seed"]
    patches = list(range(args.patches or (1 if args.quick else 2)))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        folder = Path(folder)
        paths = population(args.inputs, folder)
        tables = read_tables(paths)
        work = scenes(settings, survey, tables, seed, patches)
        stamps = [draw_source(*item) for item in work]
        psfs = {band: psf_object(survey.bands[band].psf_model) for band in settings["bands"]}

        def plain(number):
            row, image, shear = work[number]
            return draw_plain(row, image, shear, stamps[number], psfs[image.band], survey.pixel_scale)

        def draw():
            for item in work:
                draw_source(*item)

        def draw_plain_all():
            for number in range(len(work)):
                plain(number)

        def patch():
            for index in patches:
                simulate_patch(settings, index, seed, settings["case"], settings["scenario"], survey, tables)

        run = partial(
            simulate.run,
            settings,
            patches,
            seed,
            list(paths),
            find("surveys", settings["survey"]),
            folder / "images.fits",
            folder / "truth.parquet",
        )

        def stage():
            with contextlib.redirect_stderr(io.StringIO()):  # its progress
                run()

        seconds = interleaved(
            {"drawing": draw, "plain GalSim": draw_plain_all, "patch": patch, "stage": stage},
            args.repetitions or (2 if args.quick else 5),
        )
        apart = differences(work, draw_source, plain, max(len(work) // 200, 1))
    milliseconds = {name: [1000 * s / len(work) for s in values] for name, values in seconds.items()}
    rows = [
        [
            title,
            spread(milliseconds[name], 3),
            spread((a / b for a, b in zip(seconds[name], seconds["plain GalSim"])), 2),
            f"{TARGET:g} ms" if name == "stage" else "-",
        ]
        for name, title in ROWS
    ]
    side = settings["patch"]["size"] + 2 * settings["patch"]["border"]
    sizes = sorted(len(stamp.array) for stamp in stamps)
    print_table(
        "CPU per source and band",
        ["what", "ms", "relative to plain GalSim", "target"],
        rows,
        [
            f"{len(work)} drawings: {len(patches)} patches of {side} x {side} pixels, bands "
            f"{', '.join(settings['bands'])}, twins of either shear (those of opposite noise are not drawn again)",
            f"stamps of {sizes[len(sizes) // 20]} to {sizes[-len(sizes) // 20]} pixels (5 to 95 %), "
            f"median {sizes[len(sizes) // 2]}",
            f"largest difference of the two drawings in per cent of the peak: {spread(apart, 3)}",
        ],
    )


if __name__ == "__main__":
    main()
