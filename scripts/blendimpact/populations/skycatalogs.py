"""The catalogues of cosmoDC2 and TRILEGAL as the package skycatalogs ships them."""

from ..errors import StudyError


def read_skycatalogs(paths, prefix, columns):
    """Return the stacked columns of the files named ``prefix`` + number."""
    import pandas as pd
    import pyarrow.parquet as pq

    parts = []
    for path in sorted(map(str, paths)):
        name = path.replace("\\", "/").rsplit("/", 1)[-1]
        if name.startswith(prefix) and name.endswith(".parquet") and "flux" not in name:
            try:
                parts.append(pq.read_table(path, columns=columns).to_pandas())
            except (OSError, ValueError) as error:
                raise StudyError(
                    f"not a catalogue of skycatalogs ({error})", path, "delete it and fetch it again"
                ) from error
    if not parts:
        raise StudyError(f"no {prefix}*.parquet file", ", ".join(map(str, paths)) or "skycatalogs files")
    return pd.concat(parts, ignore_index=True)
