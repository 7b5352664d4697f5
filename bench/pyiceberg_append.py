"""Appends one Parquet file again and again with PyIceberg and prints how long each commit took.

usage: pyiceberg_append.py DATABASE_URL FILE COMMITS WARM_UP WAREHOUSE

`append` gets the rows in memory and writes them; `add_files` names a file that is there (a copy each time) and only commits.
Prints one JSON object: the version, and milliseconds of each counted commit.
"""

import json
import pathlib
import shutil
import sys
import time

import pyarrow.parquet
import pyiceberg
from pyiceberg.catalog.sql import SqlCatalog


def main() -> None:
    database_url, file, commits, warm_up, warehouse = sys.argv[1:6]
    uri = database_url.replace("postgres://", "postgresql+psycopg2://", 1)
    catalog = SqlCatalog("bench", uri=uri, warehouse=f"file://{warehouse}")
    namespace = f"bench_{time.time_ns()}"
    catalog.create_namespace(namespace)
    rows = pyarrow.parquet.ParquetFile(file).read()
    # Field ids of the file would be taken for the new table's.
    rows = rows.cast(pyarrow.schema([field.remove_metadata() for field in rows.schema]))
    appended = catalog.create_table((namespace, "appended"), schema=rows.schema)
    added = catalog.create_table((namespace, "added"), schema=rows.schema)
    source = pathlib.Path(warehouse) / "source.parquet"
    pyarrow.parquet.write_table(rows, source)
    copies = []
    for number in range(int(commits) + int(warm_up)):
        copies.append(source.with_name(f"copy-{number}.parquet"))
        shutil.copyfile(source, copies[-1])

    def timed(commit) -> float:
        began = time.perf_counter()
        commit()
        return (time.perf_counter() - began) * 1_000

    append_ms = [timed(lambda: appended.append(rows)) for _ in copies]
    add_files_ms = [timed(lambda: added.add_files([f"file://{copy}"], check_duplicate_files=False)) for copy in copies]
    counted = {"append_ms": append_ms[int(warm_up):], "add_files_ms": add_files_ms[int(warm_up):]}
    json.dump({"version": pyiceberg.__version__, **counted}, sys.stdout)


if __name__ == "__main__":
    main()
