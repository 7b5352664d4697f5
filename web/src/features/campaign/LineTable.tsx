import { Paper, Table, Text } from "@mantine/core";
import { Rows3 } from "lucide-react";
import type { Campaign, Line } from "../../api/types";
import { flight, money } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { DeliveredCell, PaceCell } from "../../ui/PaceCell";
import { Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";

/** The campaign's lines: what each may spend a day, what it would have to, and what is proposed about it. */
export function LineTable({ campaign }: { campaign: Campaign }) {
  const text = useText();
  if (campaign.line_items.length === 0) {
    return (
      <Paper withBorder>
        <Nothing icon={Rows3} title={text("lines.empty")}>
          {text("lines.empty.help")}
        </Nothing>
      </Paper>
    );
  }
  return (
    <TableFrame label={text("campaign.lines")} minWidth={1180}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th className="name">{text("column.line")}</Table.Th>
          <Table.Th>{text("column.pace")}</Table.Th>
          <Table.Th className="number">{text("column.delivered")}</Table.Th>
          <Table.Th className="number">{text("column.expected")}</Table.Th>
          <Table.Th className="number">{text("column.budget")}</Table.Th>
          <Table.Th className="number">{text("column.daily-budget")}</Table.Th>
          <Table.Th className="number">{text("column.required-daily")}</Table.Th>
          <Table.Th>{text("column.flight")}</Table.Th>
          <Table.Th>{text("column.proposal")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {campaign.line_items.map((line) => (
          <LineRow key={line.id} line={line} />
        ))}
      </Table.Tbody>
    </TableFrame>
  );
}

function LineRow({ line }: { line: Line }) {
  const text = useText();
  const { pacing } = line;
  const none = text("figure.none");
  return (
    <Table.Tr>
      <Table.Th scope="row" fw={400}>
        <Text size="sm" fw={600}>
          {line.name}
        </Text>
        <Text size="xs" c="dimmed">
          {line.order_name ? `${line.order_name} · ` : ""}ID {line.platform_id}
        </Text>
      </Table.Th>
      <Table.Td>
        <PaceCell of={line} />
      </Table.Td>
      <Table.Td className="number">
        <DeliveredCell of={line} />
      </Table.Td>
      <Table.Td className="number">{pacing ? money(pacing.expected) : none}</Table.Td>
      <Table.Td className="number">{pacing ? money(pacing.budget) : none}</Table.Td>
      <Table.Td className="number">{line.daily_budget ? money(line.daily_budget) : none}</Table.Td>
      <Table.Td className="number strong">
        {pacing?.required_daily ? money(pacing.required_daily) : none}
      </Table.Td>
      <Table.Td className="nowrap">{flight(line.first_day, line.last_day) ?? none}</Table.Td>
      <Table.Td>
        {line.open_proposal_id ? (
          <AnchorTo
            to="/approvals/$proposalId"
            params={{ proposalId: line.open_proposal_id }}
            aria-label={text("lines.review", { line: line.name })}
          >
            {text("lines.review.short")}
          </AnchorTo>
        ) : (
          none
        )}
      </Table.Td>
    </Table.Tr>
  );
}
