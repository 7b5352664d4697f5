import { Group, Paper, Stack, Table, Text, Title } from "@mantine/core";
import { useParams } from "@tanstack/react-router";
import { ArrowLeft, PackageOpen } from "lucide-react";
import { useRun } from "../../api/queries";
import type { RunDetail } from "../../api/types";
import { count, duration, flight, moment, timeOfDay } from "../../format/format";
import { AnchorTo } from "../../ui/links";
import { Mark } from "../../ui/Mark";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { outcomeOf, runKind } from "./RunStrip";
import { platformName } from "../../ui/platform";
import { RunFigures } from "./RunFigures";

/** One run: in plain words what it did, step by step, and the reports that it fetched. */
export function RunPage() {
  const text = useText();
  const zone = useZone();
  const { runId } = useParams({ from: "/shell/runs/$runId" });
  const query = useRun(runId);
  const run = query.data;
  return (
    <Stack gap="lg">
      <div>
        <AnchorTo to="/runs" size="sm" className="back">
          <ArrowLeft aria-hidden size={14} /> {text("run.back")}
        </AnchorTo>
        <PageTitle
          title={
            run ? text("run.title", { moment: moment(run.started_at, zone) }) : text("run.loading")
          }
          lead={
            run
              ? `${runKind(text, run.kind)}${run.seconds == null ? "" : ` · ${duration(run.seconds)}`} · ${run.id}`
              : null
          }
          actions={run ? <Mark kind="run" state={outcomeOf(run)} size="lg" /> : null}
        />
      </div>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={4} height={70} /> : null}
      {run ? (
        <>
          <Paper withBorder p="md">
            <Text className="sentence">{run.sentence}</Text>
            <RunFigures rows={run.rows} />
          </Paper>
          {run.problems.map((problem, index) => (
            <ProblemAlert key={`${index} ${problem.code}`} problem={problem} quiet />
          ))}
          <Steps run={run} />
          <Pulls run={run} />
        </>
      ) : null}
    </Stack>
  );
}

function Steps({ run }: { run: RunDetail }) {
  const text = useText();
  if (run.steps.length === 0) return null;
  return (
    <section aria-labelledby="steps-title">
      <Title order={2} id="steps-title" mb="sm">
        {text("run.steps")}
      </Title>
      <ol className="timeline">
        {run.steps.map((step) => (
          <li key={step.title}>
            <Group gap="sm">
              <Text size="sm" fw={600}>
                {step.title}
              </Text>
              <Text size="xs" c="dimmed" className="figures">
                {step.seconds == null ? null : duration(step.seconds)}
              </Text>
            </Group>
            <Text size="sm">{step.sentence}</Text>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Pulls({ run }: { run: RunDetail }) {
  const text = useText();
  const zone = useZone();
  const none = text("figure.none");
  return (
    <section aria-labelledby="pulls-title">
      <Title order={2} id="pulls-title" mb="sm">
        {text("run.pulls")}
      </Title>
      {run.pulls.length === 0 ? (
        <Paper withBorder>
          <Nothing icon={PackageOpen} title={text("run.pulls.empty")}>
            {text("run.pulls.empty.help")}
          </Nothing>
        </Paper>
      ) : (
        <TableFrame label={text("run.pulls")} minWidth={820}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{text("column.report")}</Table.Th>
              <Table.Th>{text("column.days")}</Table.Th>
              <Table.Th>{text("column.state")}</Table.Th>
              <Table.Th className="number">{text("column.rows")}</Table.Th>
              <Table.Th>{text("column.requested")}</Table.Th>
              <Table.Th>{text("column.landed")}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {run.pulls.map((pull) => (
              <Table.Tr key={pull.id}>
                <Table.Th scope="row" fw={400}>
                  {text(`pull.kind.${pull.kind}`)} · {platformName(pull.platform)}
                  {pull.problem ? (
                    <Text size="xs" c="dimmed">
                      {pull.problem.title}
                    </Text>
                  ) : null}
                </Table.Th>
                <Table.Td className="nowrap">{flight(pull.days.first, pull.days.last)}</Table.Td>
                <Table.Td>
                  <Mark kind="pull" state={pull.state} />
                </Table.Td>
                <Table.Td className="number">
                  {pull.rows == null ? none : count(pull.rows)}
                </Table.Td>
                <Table.Td className="nowrap">
                  {pull.requested_at ? timeOfDay(pull.requested_at, zone) : none}
                </Table.Td>
                <Table.Td className="nowrap">
                  {pull.landed_at ? timeOfDay(pull.landed_at, zone) : none}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </TableFrame>
      )}
    </section>
  );
}
