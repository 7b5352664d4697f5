import { Table } from "@mantine/core";
import type { Series } from "../../api/types";
import { day, money } from "../../format/format";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";

/** The curve's figures, day by day, newest first. */
export function SeriesTable({ series }: { series: Series }) {
  const text = useText();
  const amount = (value: string | null | undefined) =>
    value == null ? text("figure.none") : money({ amount: value, currency: series.currency });
  return (
    <TableFrame label={text("curve.table")} minWidth={640} maxHeight={420} framed={false}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.day")}</Table.Th>
          <Table.Th className="number">{text("curve.that-day")}</Table.Th>
          <Table.Th className="number">{text("curve.planned-day")}</Table.Th>
          <Table.Th className="number">{text("curve.actual")}</Table.Th>
          <Table.Th className="number">{text("curve.planned")}</Table.Th>
          <Table.Th>{text("column.finality")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {series.points.toReversed().map((point) => (
          <Table.Tr key={point.day}>
            <Table.Th scope="row" fw={400}>
              {day(point.day)}
            </Table.Th>
            <Table.Td className="number">{amount(point.delivered)}</Table.Td>
            <Table.Td className="number">{amount(point.planned)}</Table.Td>
            <Table.Td className="number">{amount(point.delivered_cumulative)}</Table.Td>
            <Table.Td className="number">{amount(point.planned_cumulative)}</Table.Td>
            <Table.Td>{finalityWord(point.finality)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </TableFrame>
  );

  function finalityWord(finality: string | null | undefined): string {
    if (finality === "intraday" || finality === "provisional" || finality === "final")
      return text(`finality.${finality}`);
    return finality ?? text("figure.none");
  }
}
