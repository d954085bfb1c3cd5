"""Pickles of others: arrays and tables are read, and nothing that is in the file is run.

A pickle names functions, and reading it calls them. Here only those are found that put arrays and tables together.
"""

import pickle

from ..errors import StudyError

_CALLED = {
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "pandas": {"DataFrame", "Index", "RangeIndex"},
    "pandas._libs.internals": {"_unpickle_block"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
    "builtins": {"slice"},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        module = module.replace("numpy.core.", "numpy._core.")  # its name before NumPy 2
        if name not in _CALLED.get(module, ()):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no table of numbers needs")
        return super().find_class(module, name)


def load(path, what):
    """Return the arrays in plain containers, or the table of pandas, that a pickle holds.

    Parameters
    ----------
    path : path-like
    what : str
        What it should be, for the message.

    Raises
    ------
    StudyError
        If it is damaged, or asks for any other function.
    """
    try:
        with open(path, "rb") as file:
            return _Unpickler(file).load()
    except Exception as error:  # unpickling raises whatever the bytes make it
        raise StudyError(f"not {what} ({error})", str(path), "delete it and run again: it is fetched again") from error
