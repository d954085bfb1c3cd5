"""Bit flags: every trouble with one object is a bit that has a name and a text."""


class Bits(dict):
    """Bits of one integer, {number: (name, text)}, and their values by name.

    ``BITS.EDGE`` is the value of a bit as a plain int: NumPy keeps the dtype of an array of flags with it, and would
    widen it with an `enum.IntFlag`.
    """

    def __init__(self, bits):
        super().__init__(bits)
        self.__dict__.update({name: 1 << number for number, (name, _) in bits.items()})

    def decode(self, status):
        """Return the list of (name, text) of the bits that are set in ``status``, lowest first.

        Raises
        ------
        ValueError
            If a bit is set that has no name: a product of another version.
        """
        status = int(status)
        if status < 0 or status & ~sum(1 << number for number in self):
            raise ValueError(f"status {status} has bits that the registry does not know")
        return [self[number] for number in sorted(self) if status >> number & 1]
