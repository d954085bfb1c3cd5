"""Transients: supernovae, asteroids and comets, each kind with its share."""

from functools import partial
from typing import Annotated

import numpy as np
from astropy.table import Table
from pydantic import AfterValidator, Field

from ..config.files import Problem, nearest
from ..config.models import ascending
from ..config.options import NotNegative, Positive, Share
from ..data.catalogues import describe
from ..data.frames import pixel_to_sky
from ..errors import StudyError
from ..sky.profiles import draw_source
from ..stats.streams import stream
from . import POPULATIONS
from .base import BANDS, Population
from .drawn import blocks, member
from .extras import EXTRAS, blank
from .hosts import Hosts
from .kinds import Kind
from .source_types import COLUMNS, SOURCE_TYPES
from .static_sky import StaticSky

SNR = Annotated[list[Positive], Field(min_length=2, max_length=2), AfterValidator(ascending)]
Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(ascending)]
ORDER = ("supernova", "nuclear", "hostless", "trail", "comet", "coma_9p", "beside", "near_earth", "comet_beside")
"""Kinds in the order in which shares are added up to draw one; others follow, by name. Another order would be another
sky."""


@POPULATIONS.register("transients")
class Transients(Population):
    """Sources that are there in one epoch alone.

    Parameters
    ----------
    kinds : dict of str to float
        Share of each kind (`kinds.Kind`).
    snr : (float, float), optional
        Least and largest S/N of the matched filter on the sky's noise in ``shape_band``, uniform in the logarithm; of
        an asteroid what it would have standing still, by its counts; of a comet that in a circle. Without it
        ``inject.mag`` is the range of magnitudes.
    exposure : float
        Seconds during which an asteroid moves.
    required : float
        Share of the supernovae whose S/N is from 5.5 to 6.5, where completeness is required.
    host_mag : (float, float), optional
        Only hosts of these magnitudes in ``shape_band``.
    """

    transient = True
    packing = 0.5
    """Placed at random one after the other, which jams at 0.7 of a lattice."""

    def __init__(
        self,
        kinds: dict[str, NotNegative] | None = None,
        snr: SNR | None = None,
        exposure: Positive = 30.0,
        required: Share = 0.0,
        host_mag: Range | None = None,
    ):
        for name in kinds or {}:
            if name not in (names := POPULATIONS.names()) or not issubclass(POPULATIONS.member(name), Kind):
                raise StudyError(f"there is no kind of transient {name!r}", "inject.kinds", nearest(name, names))
        self.shares = {name: share for name, share in (kinds or {}).items() if share}
        if not self.shares:
            raise StudyError(
                "no kind of transient has a share",
                "inject.kinds",
                "e.g. kinds: {supernova: 3, nuclear: 1, hostless: 2, trail: 2, comet: 2}",
            )
        self.snr, self.options = snr, {"exposure": exposure, "snr": snr, "required": required}
        self.host_mag, self._hosts = host_mag, None
        self.kinds = {name: POPULATIONS.create(name) for name in {*self.shares, "hostless"}}
        self.columns = EXTRAS | {name: text for kind in self.kinds.values() for name, text in kind.columns.items()}

    def problems(self, settings):
        """Yield what a case does not allow."""
        yield from super().problems(settings)
        if settings.shear:
            yield Problem(("shear",), "is for static sources", "set shear: 0 where transients are injected")
        unknown = [b for b in settings.bands if b not in BANDS]
        coloured = sorted(name for name in self.shares if not self.kinds[name].any_band)
        if unknown and (coloured or len(settings.bands) > 1):
            drawn = f"kinds {', '.join(coloured)}" if coloured else "transients of several bands"
            able = ", ".join(sorted(name for name, kind in self.kinds.items() if kind.any_band))
            yield Problem(
                ("bands",),
                f"{drawn} have no colour in {', '.join(unknown)}",
                f"use bands of {BANDS}, or one band and kinds that need no colour ({able}), or a catalogue",
            )

    def draw(self, settings, patch, truth, seed, case, block, realisation, tables):
        """Return the transients of one patch: see `base.Population.draw`.

        It has fewer than ``per_patch`` rows if no place is left ``separation`` away from the others; what is left out
        depends on nothing that is measured later. A hosted transient without a possible host is hostless; a trail
        beside a source is left out where there is none. On a real image the redshift of a host is not known: it is
        drawn.
        """
        inject, bands = settings["inject"], list(settings["bands"])
        reference = settings.get("shape_band", bands[0])
        image = patch.bands[reference]
        names = sorted(self.shares, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        shares = np.array([float(self.shares[name]) for name in names])
        key = (case, "transients", int(block), int(realisation))
        sky = StaticSky(patch, truth, reference, settings)
        options = {**self.options, "mag": inject.get("mag"), **noise_limits(image, sky.sigma)}
        options["hosts"] = self.hosts(settings, tables, reference)
        sky.looks = partial(self._host_looks, bands)
        placed, rows = np.empty((0, 2)), []
        separation = inject["separation"] / image.pixel_scale
        draws = stream(seed, *key, "kinds").uniform(size=int(inject["per_patch"]))
        for number, draw in enumerate(draws):
            name = names[min(int(np.searchsorted(np.cumsum(shares) / shares.sum(), draw, "right")), len(names) - 1)]
            kind, rng = self.kinds[name], stream(seed, *key, number)
            row = {
                **{column: blank(column) for column in self.columns},
                "injection_id": number,
                "trail_length": np.nan,
                "beta": 0.0,
                "redshift": np.nan,
                "stamp": "",
                "transient": name,
            }
            look = (row, bands, reference, options, tables, rng)
            colours = kind.look(*look) if kind.look_first else None
            place = kind.place(sky, row, placed, separation, rng)
            if place is None or not kind.there(tables):
                continue
            placed = np.vstack([placed, place])
            row["x"], row["y"] = (float(v) for v in place)
            colours = colours or kind.look(*look)
            sky.describe(row)
            mag = kind.magnitude(row, options, rng)
            mag = self._magnitude(row, inject, image, rng, sky.sigma) if mag is None else mag
            row.update({f"mag_{band}": float(mag + colour) for band, colour in colours.items()})
            kind.finish(row, mag, image.band)
            rows.append(row)
        rows += [{column: blank(column) for column in self.columns} | row for row in sky.planted]
        return self._table(rows, image, bands)

    def hosts(self, settings, tables, reference):
        """Return the `hosts.Hosts` of supernovae, made once for all patches; None where there is no such sample."""
        block = blocks(settings.get("population", {}))["galaxies"]
        if self._hosts is None and reference in BANDS and {"supernova", block["kind"]} <= tables.keys():
            self._galaxies, galaxies = member(block), tables[block["kind"]]
            brightest = block.get("mag_min")
            brightest = self._galaxies.limits[0] if brightest is None else brightest
            self._hosts = Hosts(galaxies, tables["supernova"], reference, brightest, self.host_mag)
        return self._hosts

    def _host_looks(self, bands, number, angle):
        """Return a galaxy of the sample, turned by an angle, as columns of a catalogue."""
        looks = self._galaxies.looks(self._hosts.galaxies, np.array([number]), 0.0, angle, bands)
        return {name: float(values[0]) for name, values in looks.items()}

    def _magnitude(self, row, inject, image, rng, sigma):
        """Return a magnitude in the band of an image, by S/N or by magnitude."""
        if not self.snr:
            return rng.uniform(*inject["mag"])
        wanted = np.exp(rng.uniform(*np.log(self.snr)))
        kind = SOURCE_TYPES[row["source_type"]][0]
        unit = draw_source({**row, "kind": kind, "trail_angle": row["beta"], f"flux_{image.band}": 1.0}, image)
        return image.zero_point - 2.5 * np.log10(wanted * sigma / np.sqrt((unit.array**2).sum()))

    def _table(self, rows, image, bands):
        names = [
            "injection_id",
            "x",
            "y",
            "source_type",
            "trail_length",
            "beta",
            "redshift",
            "stamp",
            *self.columns,
            *(f"{key}_{part}" for part in ("bulge", "disk") for key in ("hlr", "n", "g1", "g2")),  # of hosts
            *(f"{name}_{band}" for name in ("bulge_fraction", "mag") for band in bands),
        ]
        texts, whole = ("source_type", "stamp", "transient"), ("injection_id", "host_id", "static_id", "planted")
        types = {name: "U9" if name in texts else np.int64 if name in whole else float for name in names}
        types["transient"] = f"U{max([9, *(len(row['transient']) for row in rows)])}"
        types["stamp"] = f"U{max([1, *(len(row['stamp']) for row in rows)])}"
        out = Table({name: np.array([row.get(name, np.nan) for row in rows], types[name]) for name in names})
        out["ra"], out["dec"] = pixel_to_sky(image.wcs, out["x"], out["y"]) if rows else (out["x"], out["y"])
        return describe(
            out,
            {
                **COLUMNS,
                **self.columns,
                "x": ("pix", "position along axis 1"),
                "y": ("pix", "position along axis 2"),
                "redshift": (None, "redshift"),
                **{f"mag_{b}": ("mag", f"AB magnitude in {b}") for b in bands},
            },
        )


def noise_limits(image, sigma):
    """Return the AB magnitudes that have a S/N of 1 on sky noise of ``sigma`` per pixel, as `Kind.look` takes them.

    Returns
    -------
    dict of str to float
        ``point``: of a point source; ``patch``: of the light of a square arcsec.
    """
    point = draw_source({"kind": "star", "x": 0.0, "y": 0.0, f"flux_{image.band}": 1.0}, image)
    return {
        "point": image.zero_point - 2.5 * np.log10(sigma / np.sqrt((point.array**2).sum())),
        "patch": image.zero_point - 2.5 * np.log10(sigma / image.pixel_scale),
    }
