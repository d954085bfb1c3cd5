"""Magnitudes of type Ia supernovae in LSST bands, from the SED series of Hsiao et al. (2007)."""

import galsim
import numpy as np
from astropy import units
from astropy.cosmology import Planck18
from astropy.io import fits
from astropy.table import Table

from ..data.catalogues import describe
from ..data.reading import reading
from ..data.transient_geometry import REQUIRED_SNR
from ..errors import StudyError
from . import POPULATIONS
from .base import BANDS
from .hosts import PHASES
from .kinds import Kind

REDSHIFT = 0.05, 1.0
"""Of supernovae on a real image, uniform."""
NUCLEAR = 0.1
"""Arcsec from the centre within which a nuclear transient lies, uniform in area."""
PEAK = -19.3
"""AB magnitude, at maximum, of a normal SN Ia in 390-490 nm (about B) in its rest frame. [M]: a round number, with
``hosts.SCATTER`` what goes with a redshift and a phase."""
REDSHIFTS = np.concatenate([[0.01, 0.02, 0.035], np.arange(0.05, 1.51, 0.05), [1.75, 2.0, 2.5, 3.0]])
DARK = 40.0
"""Magnitude of a band without light, e.g. in the ultraviolet at high redshift."""
_LIGHT = 2.99792458e18  # Angstrom / s


@POPULATIONS.register("supernova")
class Supernova(Kind):
    """A type Ia supernova at a place that follows a galaxy's light.

    On simulated patches the galaxy is drawn from the whole sample of the sky's galaxies (`hosts`) and added to the
    static sky. On a real image, whose sample nobody has, it is one of the image's, by its light, and redshift and phase
    are uniform; where there is none the supernova is hostless.
    """

    inputs = ("sncosmo",)
    follows = ("hst_cosmos", "cosmodc2")
    memory_mb = 1500
    look_first = True
    nuclear = None
    """Arcsec from the centre within which it lies; None: it follows the light."""

    @classmethod
    def build(cls, folders):
        """Return the table of magnitudes by redshift and phase."""
        (path,) = folders["sncosmo"].glob("*.fits")
        return build_supernovae(path)

    def look(self, row, bands, reference, options, tables, rng):
        """Draw its brightness, the galaxy and the phase that go with it; return the colours of a normal SN Ia."""
        if "supernova" not in tables:
            raise StudyError("no table of supernovae", "inject.kinds", "leave supernovae out, or build the table")
        row["source_type"], row["supernova_mag"], hosts = "Star", self._brightness(options, rng), options["hosts"]
        if hosts is None:
            row["host"], row["phase"] = None, float(rng.uniform(PHASES[0], PHASES[-1]))
            row["redshift"] = float(rng.uniform(*REDSHIFT))
        else:
            row["host"], row["phase"] = hosts.draw(row["supernova_mag"], rng)
            row["redshift"] = float(hosts.galaxies["redshift"][row["host"]])
        if reference not in BANDS:  # a point source without a spectrum
            row["excess_mag"] = np.nan
            return {reference: 0.0}
        natural = magnitudes_at(tables["supernova"], row["redshift"], row["phase"], bands)
        row["excess_mag"] = row["supernova_mag"] - natural[reference]
        return {band: natural[band] - natural[reference] for band in bands}

    @staticmethod
    def _brightness(options, rng):
        if not options["snr"]:
            return float(rng.uniform(*options["mag"]))
        limits = REQUIRED_SNR if rng.uniform() < options["required"] else options["snr"]
        return float(options["point"] - 2.5 * np.log10(np.exp(rng.uniform(*np.log(limits)))))

    def place(self, sky, row, placed, separation, rng):
        """Return a place on a host; on a real image without one anywhere."""
        number, redshift = row.pop("host"), row["redshift"]
        if number is not None:
            return sky.with_host(row, number, placed, separation, rng, self.nuclear)
        place = sky.on_host(row, placed, separation, rng, self.nuclear)
        row["redshift"] = redshift if np.isnan(row["redshift"]) else row["redshift"]  # not known of real galaxies
        if place is None:
            row["transient"] = Hostless.name
            return super().place(sky, row, placed, separation, rng)
        return place

    def magnitude(self, row, options, rng):
        """Return what was drawn."""
        return row.pop("supernova_mag")


@POPULATIONS.register("nuclear")
class Nuclear(Supernova):
    """The same spectrum within `NUCLEAR` of a galaxy's centre."""

    inputs = ()
    uses = ("supernova",)
    nuclear = NUCLEAR


@POPULATIONS.register("hostless")
class Hostless(Supernova):
    """The same anywhere: its host is too faint to be drawn, or too far."""

    inputs = ()
    uses = ("supernova",)
    any_band = True

    def place(self, sky, row, placed, separation, rng):
        """Return a free place, whatever is there."""
        row.pop("host")
        row["transient"] = Hostless.name
        return Kind.place(self, sky, row, placed, separation, rng)


def build_supernovae(path):
    """Return the magnitudes of a normal SN Ia by redshift and phase.

    Parameters
    ----------
    path : path-like
        FITS image of F_lambda: phase (d, rest frame) along axis 2, wavelength (Angstrom) along axis 1.

    Returns
    -------
    astropy.table.Table
        ``redshift``, ``phase``, ``mag_u`` ... ``mag_y`` (AB), on a regular grid, phase fastest. No dust, no stretch.
    """
    with reading(path, "the SED series of a supernova", "fetch it again"), fits.open(path) as hdus:
        flux, header = np.array(hdus[0].data, float), hdus[0].header
    axes = [
        header[f"CRVAL{k}"] + header[f"CDELT{k}"] * (np.arange(header[f"NAXIS{k}"]) + 1 - header[f"CRPIX{k}"])
        for k in (1, 2)
    ]
    wave, phase = axes
    if not (flux >= 0).all() or not np.isfinite(flux).all() or phase.min() > -10 or phase.max() < 40:
        raise StudyError("not the SED series that is expected", str(path), "fetch it again")
    around = ((wave > 3900) & (wave < 4900)).astype(float)
    # at 10 pc
    flux *= 10 ** (-0.4 * (PEAK - _ab(wave, flux, wave, around)[np.argmin(np.abs(phase))]))
    columns = {f"mag_{band}": [] for band in BANDS}
    curves = {}
    for band in BANDS:
        passband = galsim.Bandpass(f"LSST_{band}.dat", wave_type="nm")
        nm = np.linspace(passband.blue_limit, passband.red_limit, 400)
        curves[band] = 10 * nm, passband(nm)
    for z in REDSHIFTS:
        modulus = Planck18.distmod(z).to_value(units.mag)
        for band, (lam, curve) in curves.items():
            columns[f"mag_{band}"].append(np.minimum(_ab(wave * (1 + z), flux / (1 + z), lam, curve) + modulus, DARK))
    table = Table(
        {
            "redshift": np.repeat(REDSHIFTS, len(phase)),
            "phase": np.tile(phase, len(REDSHIFTS)),
            **{name: np.concatenate(values) for name, values in columns.items()},
        }
    )
    return describe(
        table,
        {
            "redshift": (None, "redshift"),
            "phase": ("d", "days after maximum in B, rest frame"),
            **{f"mag_{b}": ("mag", f"AB magnitude in LSST {b}") for b in BANDS},
        },
    )


def _ab(wave, flux, lam, curve):
    """Return AB magnitudes of spectra F_lambda (erg/s/cm2/A; one per row) through a photon-counting passband."""
    seen = np.stack([np.interp(lam, wave, row, left=0.0, right=0.0) for row in flux])
    weight = curve * lam
    reference = np.trapezoid(weight * 3.631e-20 * _LIGHT / lam**2, lam)
    with np.errstate(divide="ignore"):
        return -2.5 * np.log10(np.trapezoid(seen * weight, lam, axis=1) / reference)


def magnitudes_at(table, redshift, phase, bands):
    """Return {band: AB magnitude} at a redshift and phase: linear between the table's, ends held.

    Magnitudes are interpolated in log redshift, along which the distance modulus is nearly straight.
    """
    z, t = np.unique(table["redshift"]), np.unique(table["phase"])
    at = np.interp(np.log(max(redshift, z[0])), np.log(z), np.arange(len(z)))
    k = min(int(at), len(z) - 2)
    out = {}
    for band in bands:
        grid = np.asarray(table[f"mag_{band}"]).reshape(len(z), len(t))
        low, high = (np.interp(phase, t, grid[i]) for i in (k, k + 1))
        out[band] = float(low + (at - k) * (high - low))
    return out
