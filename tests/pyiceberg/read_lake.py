"""Reads an organisation's tables with PyIceberg through the platform's own catalog and prints what they hold.

usage: read_lake.py DATABASE_URL WAREHOUSE ORGANISATION

Prints one JSON object: for gold, silver, and bronze's latest landed pull of each day, the number of rows and, per account,
line and day, impressions, clicks and media cost as exact decimals.
"""

import json
import sys
import uuid
from decimal import Decimal
from urllib.parse import quote

from pyiceberg.catalog.sql import SqlCatalog


def main() -> None:
    database_url, warehouse, organisation = sys.argv[1:4]
    # Row-level security shows the catalog's rows of one organisation only: the one that the connection names.
    org = uuid.UUID(organisation.removeprefix("org_"))
    uri = database_url.replace("postgres://", "postgresql+psycopg2://", 1)
    catalog = SqlCatalog(
        "clp", uri=f"{uri}?options={quote(f'-c app.org={org}')}", warehouse=f"file://{warehouse}", init_catalog_tables="false"
    )

    def rows(table: str) -> list[dict]:
        return catalog.load_table((organisation, table)).scan().to_arrow().to_pylist()

    json.dump(
        {
            "gold": unified(rows("gold_line_day")),
            "silver": unified(rows("silver_delivery")),
            "bronze": latest(rows("bronze_delivery")),
        },
        sys.stdout,
    )


def unified(rows: list[dict]) -> dict:
    sums = Sums()
    for row in rows:
        sums.add((row["account_id"], row["line_id"], row["day"]), row["impressions"], row["clicks"], row["media_cost"])
    return sums.told(len(rows))


def latest(rows: list[dict]) -> dict:
    """Of each day the rows of the pull that was requested last."""
    newest = {}
    for row in rows:
        key = (row["connection_id"], row["day"])
        newest[key] = max(newest.get(key, (row["requested_at"], row["pull_id"])), (row["requested_at"], row["pull_id"]))
    sums, count = Sums(), 0
    for row in rows:
        if newest[row["connection_id"], row["day"]] != (row["requested_at"], row["pull_id"]):
            continue
        count += 1
        key = (row["filter_advertiser"], row["filter_line_item"], row["day"])
        cells = ("metric_impressions", "metric_clicks", "metric_media_cost_advertiser")
        sums.add(key, *(number(row[cell]) for cell in cells))
    return sums.told(count)


def number(text: str) -> Decimal:
    return Decimal(0) if text == "-" or text.startswith("<") else Decimal(text)


class Sums:
    def __init__(self) -> None:
        self.by_line_day: dict = {}

    def add(self, key: tuple, impressions, clicks, media_cost) -> None:
        before = self.by_line_day.get(key, (Decimal(0),) * 3)
        measures = (Decimal(value or 0) for value in (impressions, clicks, media_cost))
        self.by_line_day[key] = tuple(left + right for left, right in zip(before, measures))

    def told(self, rows: int) -> dict:
        line_days = [
            [account, line, day.isoformat(), *(format(value.normalize(), "f") for value in measures)]
            for (account, line, day), measures in sorted(self.by_line_day.items())
        ]
        return {"rows": rows, "line_days": line_days}


if __name__ == "__main__":
    main()
