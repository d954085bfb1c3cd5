"""Columns of a user's table: numbers in the units that are wanted, texts, ids, AB magnitudes."""

import numpy as np
from astropy import units
from astropy.table import MaskedColumn

from ..errors import StudyError

AB_NAMES = ("ABmag", "AB mag", "AB_mag", "mag_AB", "mag(AB)")
"""Spellings of the unit of AB magnitudes."""
_LISTED = 5


def named_rows(bad, ids=None):
    """Return text that names the rows (0-based) where ``bad`` is set."""
    where = np.flatnonzero(bad)
    shown = ", ".join(str(k) if ids is None else f"{k} (injection_id {ids[k]})" for k in where[:_LISTED])
    return f"{len(where)} rows: {shown}" + (", ..." if len(where) > _LISTED else "")


class Columns:
    """A table that knows which of its columns were asked for: none is ignored in silence.

    Parameters
    ----------
    table : Table
    where : str
        The file, for messages.
    """

    def __init__(self, table, where):
        self.table, self.where, self._read = table, where, set()

    def __contains__(self, name):
        return name in self.table.colnames

    def unread(self):
        """Return the names of the columns that nobody asked for."""
        return [name for name in self.table.colnames if name not in self._read]

    def unit(self, name):
        """Return the unit of a column, None if it has none."""
        return getattr(self.table[name], "unit", None)

    def texts(self, name):
        """Return a column as a list of str, "" where masked."""
        self._read.add(name)
        column = self.table[name]
        column = column.filled("") if isinstance(column, MaskedColumn) else column
        return [(v.decode() if isinstance(v, bytes) else str(v)).strip() for v in column]

    def filled(self, name):
        """Return which rows of a column hold anything; the column still counts as unread."""
        column = self.table[name]
        masked = np.asarray(getattr(column, "mask", np.zeros(len(column), bool)))
        values = np.asarray(column)
        empty = np.isnan(values) if values.dtype.kind == "f" else np.char.strip(values.astype(str)) == ""
        return ~masked & ~empty

    def numbers(self, name, unit=None):
        """Return a column as float64 in ``unit`` (what has no unit is in it already), NaN where masked."""
        self._read.add(name)
        column = self.table[name]
        if isinstance(column, MaskedColumn) or hasattr(column, "mask"):
            column = column.astype(float).filled(np.nan) if self._numeric(column) else column
        try:
            own = self.unit(name)
            values = np.asarray(column, dtype=float)
            if unit is not None and own is not None and own != unit:
                values = (values * units.Unit(own)).to(unit).value
        except (TypeError, ValueError, units.UnitConversionError) as error:
            raise StudyError(
                f"column {name} does not hold numbers in {unit or 'no unit'} ({error})",
                self.where,
                f"convert it to {unit}" if unit else "give numbers",
            ) from error
        return values.copy()

    @staticmethod
    def _numeric(column):
        return hasattr(column, "filled") and column.dtype.kind in "fiub"

    def magnitudes(self, band):
        """Return AB magnitudes in a band: of its own column, else of ``mag``; from fluxes, if they have a unit.

        Raises
        ------
        StudyError
            If there is no such column, or its unit is not that of a magnitude or flux density.
        """
        names = [f"mag_{band}", f"{band}_mag", "mag", f"flux_{band}", f"{band}_flux", "flux"]
        name = next((n for n in names if n in self), None)
        if name is None:
            raise StudyError(
                f"no magnitudes in band {band}", self.where, f"add a column mag_{band}, or mag for all bands"
            )
        own = self.unit(name)
        if own is None and "flux" in name:
            raise StudyError(
                f"column {name} has no unit",
                self.where,
                f"give it one, as nJy (ECSV, FITS and Parquet have units), or give {names[0]}",
            )
        if own is None or own == units.mag:
            return self.numbers(name, units.mag)
        values = self._bare(name)
        try:
            unit = units.ABmag if str(own) in AB_NAMES else units.Unit(own)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(units.Quantity(values, unit, subok=True).to(units.ABmag).value)
        except (TypeError, ValueError, units.UnitConversionError) as error:
            raise StudyError(
                f"column {name} in {own} is no AB magnitude or flux density ({error})",
                self.where,
                "convert it to mag(AB) or nJy",
            ) from error

    def _bare(self, name):
        """Return the numbers of a column whatever their unit."""
        own, self.table[name].unit = self.table[name].unit, None
        try:
            return self.numbers(name)
        finally:
            self.table[name].unit = own

    def ids(self, name):
        """Return unique whole numbers >= 0; those of the rows if there is no such column.

        Raises
        ------
        StudyError
            That lists the rows which have none, or that of another.
        """
        if name not in self:
            return np.arange(len(self.table), dtype=np.int64)
        self._read.add(name)
        values = self.table[name]
        values = values.filled(-1) if isinstance(values, MaskedColumn) else values
        try:
            ids = np.asarray(values, dtype=np.int64)
            wrong = (ids != np.asarray(values)) | (ids < 0) | (ids >= 2**62)
        except (TypeError, ValueError):
            ids, wrong = None, np.ones(len(values), bool)
        if wrong.any():
            raise StudyError(
                f"{name} must be a whole number >= 0, and is not in {named_rows(wrong)}",
                self.where,
                "number the sources, or leave the column out",
            )
        _, first, counts = np.unique(ids, return_index=True, return_counts=True)
        if (counts > 1).any():
            twice = np.isin(ids, ids[first[counts > 1]])
            raise StudyError(f"the same {name} in {named_rows(twice, ids)}", self.where, "give each source its own")
        return ids
