import { Button, Paper, SegmentedControl, Stack, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { History, RefreshCw } from "lucide-react";
import { itemsOf, useMay, useRefreshNow, useRuns } from "../../api/queries";
import type { Run } from "../../api/types";
import { duration, fromNow, moment } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { Mark } from "../../ui/Mark";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, More, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { outcomeOf, RunStrip, runKind } from "./RunStrip";

/** What the platform did by itself every 15 minutes, and what it did when asked. */
export function RunsPage() {
  const text = useText();
  const navigate = useNavigate({ from: "/runs" });
  const { state } = useSearch({ from: "/shell/runs" });
  const latest = useRuns();
  const runs = useRuns(state);
  const items = itemsOf(runs.data);
  return (
    <Stack gap="lg">
      <PageTitle title={text("runs.title")} lead={text("runs.lead")} actions={<RefreshNow />} />
      {runs.error ? (
        <ProblemAlert problem={runs.error} onRetry={() => void runs.refetch()} />
      ) : null}
      {latest.data ? <RunStrip runs={itemsOf(latest.data)} /> : null}
      <section aria-label={text("runs.list")}>
        <SegmentedControl
          size="sm"
          mb="sm"
          aria-label={text("runs.filter")}
          value={state ?? "all"}
          onChange={(value) =>
            void navigate({
              search:
                value === "running" || value === "done" || value === "failed"
                  ? { state: value }
                  : {},
            })
          }
          data={[
            { value: "all", label: text("overview.filter.all") },
            { value: "running", label: text("run.state.running") },
            { value: "done", label: text("run.state.done") },
            { value: "failed", label: text("run.state.failed") },
          ]}
        />
        {runs.isPending ? <Loading rows={8} /> : null}
        {runs.isSuccess && items.length === 0 ? (
          <Paper withBorder>
            <Nothing icon={History} title={text(state ? "filter.no-match" : "runs.empty")}>
              {state ? null : text("runs.empty.help")}
            </Nothing>
          </Paper>
        ) : null}
        {items.length > 0 ? <RunTable runs={items} /> : null}
        <More query={runs} />
      </section>
    </Stack>
  );
}

function RefreshNow() {
  const text = useText();
  const may = useMay();
  const refresh = useRefreshNow();
  const start = () =>
    refresh.mutate(undefined, {
      onSuccess: () => notifications.show({ message: text("runs.refresh.started") }),
      onError: (problem) =>
        notifications.show({ color: "red", title: problem.title, message: problem.next ?? "" }),
    });
  if (!may("runs.start"))
    return (
      <Text size="sm" c="dimmed">
        {text("runs.may-not")}
      </Text>
    );
  return (
    <Button
      leftSection={<RefreshCw aria-hidden size={15} />}
      loading={refresh.isPending}
      onClick={start}
    >
      {text("runs.refresh")}
    </Button>
  );
}

function RunTable({ runs }: { runs: readonly Run[] }) {
  const text = useText();
  const zone = useZone();
  return (
    <TableFrame label={text("runs.list")} minWidth={820}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.started")}</Table.Th>
          <Table.Th>{text("column.state")}</Table.Th>
          <Table.Th>{text("column.kind")}</Table.Th>
          <Table.Th>{text("column.what")}</Table.Th>
          <Table.Th className="number">{text("column.took")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {runs.map((run) => (
          <Table.Tr key={run.id}>
            <Table.Th scope="row" fw={400} className="nowrap">
              <AnchorTo to="/runs/$runId" params={{ runId: run.id }} fw={600} underline="hover">
                {moment(run.started_at, zone)}
              </AnchorTo>
              <Text size="xs" c="dimmed">
                {fromNow(run.started_at)}
              </Text>
            </Table.Th>
            <Table.Td>
              <Mark kind="run" state={outcomeOf(run)} />
            </Table.Td>
            <Table.Td>{runKind(text, run.kind)}</Table.Td>
            <Table.Td>
              {run.sentence}
              {run.problems[0] ? (
                <Text size="xs" c="dimmed">
                  {run.problems[0].title}
                </Text>
              ) : null}
            </Table.Td>
            <Table.Td className="number">
              {run.seconds == null ? text("figure.none") : duration(run.seconds)}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </TableFrame>
  );
}
