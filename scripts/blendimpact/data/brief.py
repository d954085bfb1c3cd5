"""How objects that hold images show themselves: shapes and types in place of numbers."""

from dataclasses import fields

import numpy as np
from astropy.table import Table


class Brief:
    """Base of dataclasses (``repr=False``) whose arrays and tables are told by their shape."""

    def __repr__(self):
        parts = (f"{field.name}={_brief(getattr(self, field.name))}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(parts)})"


def _brief(value):
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape)) or 'one'} {value.dtype}>"
    if isinstance(value, Table):
        return f"<{len(value)} rows, {len(value.colnames)} columns>"
    if isinstance(value, Brief):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_brief(part)}" for name, part in value.items()) + "}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"<{type(value).__name__}>"
