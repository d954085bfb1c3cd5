"""Plug-in families: one module per member, found by being there.

A family is a package (``detect``, ``deblend``). Each module in it that defines a class
decorated with ``@FAMILY.register("name")`` adds a member; no list elsewhere needs an edit.
"""

import importlib
import inspect
import pkgutil

from ..errors import StudyError


class Family:
    """The members of one plug-in family.

    Parameters
    ----------
    kind : str
        What a member is called in messages ("detector", "deblender").
    package : str
        Import path of the package whose modules are searched.
    config_key : str
        Where the configuration names members, for error messages.
    """

    def __init__(self, kind, package, config_key):
        self.kind, self.package, self.config_key = kind, package, config_key
        self._members = {}
        self._searched = False

    def register(self, name):
        """Return a class decorator that makes the class a member called ``name``."""

        def add(cls):
            if name in self._members and self._members[name] is not cls:
                raise StudyError(f"two {self.kind}s are called {name!r}", self.package)
            cls.name = name
            self._members[name] = cls
            return cls

        return add

    def names(self):
        """Return the sorted names of all members."""
        if not self._searched:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._searched = True
        return sorted(self._members)

    def create(self, name, options=None):
        """Return a member made with ``options`` (a dict of keyword arguments).

        Raises
        ------
        StudyError
            If no member has that name or an option is unknown to it; the message lists what is.
        """
        if name not in self.names():
            raise StudyError(
                f"there is no {self.kind} called {name!r}",
                self.config_key,
                f"choose one of {', '.join(self.names())}, or add a module to {self.package}",
            )
        cls = self._members[name]
        options = dict(options or {})
        known = [p for p in inspect.signature(cls.__init__).parameters if p != "self"]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise StudyError(
                f"the {self.kind} {name!r} has no option {', '.join(unknown)}",
                f"{self.config_key}.{name}",
                f"its options are: {', '.join(known) or 'none'}",
            )
        return cls(**options)
