import { Badge, Button, Group, Paper, Stack, Table, Text, Title } from "@mantine/core";
import { useSearch } from "@tanstack/react-router";
import { Cable } from "lucide-react";
import { useConnections, useMay, useReconnect } from "../../api/queries";
import type { Connection } from "../../api/types";
import type { MessageId } from "../../app/messages";
import { fromNow, moment, zoneName } from "../../format/format";
import { Mark } from "../../ui/Mark";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { ConsentProblem } from "../onboarding/ConsentProblem";
import { ChangeAccounts } from "./ChangeAccounts";
import { Reconnection } from "./Reconnection";

/** Each link to a platform: is it well, why not, whose turn is it. */
export function ConnectionsPage() {
  const text = useText();
  const { problem, reconnected } = useSearch({ from: "/shell/connections" });
  const query = useConnections();
  const connections = query.data?.items ?? [];
  return (
    <Stack gap="lg">
      <PageTitle title={text("connections.title")} lead={text("connections.lead")} />
      {problem && !reconnected ? <ConsentProblem code={problem} /> : null}
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={2} height={160} /> : null}
      {query.isSuccess && connections.length === 0 ? (
        <Paper withBorder>
          <Nothing icon={Cable} title={text("connections.empty")}>
            {text("connections.empty.help")}
          </Nothing>
        </Paper>
      ) : null}
      {connections.map((connection) => (
        <ConnectionCard
          key={connection.id}
          connection={connection}
          returned={connection.id === reconnected}
        />
      ))}
    </Stack>
  );
}

const TURNS: Readonly<Record<string, MessageId>> = {
  you: "connection.turn.you",
  colleague: "connection.turn.colleague",
  us: "connection.turn.us",
  platform: "connection.turn.platform",
};

const CAUSES: Readonly<Record<string, MessageId>> = {
  healthy: "connection.cause.healthy",
  syncing: "connection.cause.syncing",
  late: "connection.cause.late",
  rate_limited: "connection.cause.rate_limited",
  needs_reauth: "connection.cause.needs_reauth",
  needs_permission: "connection.cause.needs_permission",
  platform_outage: "connection.cause.platform_outage",
  error: "connection.cause.error",
};

/** `returned` says that the person has just come back from the platform's consent page. */
function ConnectionCard({ connection, returned }: { connection: Connection; returned: boolean }) {
  const text = useText();
  const zone = useZone();
  const mayManage = useMay()("connections.manage");
  const reconnect = useReconnect();
  const cause = CAUSES[connection.status];
  const who = connection.who_acts === "you" && !mayManage ? "colleague" : connection.who_acts;
  const turn = who ? TURNS[who] : undefined;
  const go = () =>
    reconnect.mutate(
      { id: connection.id },
      { onSuccess: (redirect) => window.location.assign(redirect) },
    );
  const urgent = connection.who_acts === "you";
  return (
    <Paper withBorder p="lg" component="article" aria-labelledby={connection.id}>
      <Stack gap="md">
        <Group justify="space-between" align="flex-start">
          <div>
            <Group gap="sm">
              <Title order={2} id={connection.id}>
                {connection.title}
              </Title>
              <Mark kind="connection" state={connection.status} />
            </Group>
            <Text size="sm" mt={4}>
              {cause ? text(cause) : null} {turn ? <b>{text(turn)}</b> : null}
            </Text>
          </div>
          {mayManage ? (
            <Button
              variant={urgent ? "filled" : "default"}
              loading={reconnect.isPending || reconnect.isSuccess}
              onClick={go}
            >
              {text("connection.reconnect")}
            </Button>
          ) : null}
        </Group>
        <Reconnection connection={connection} returned={returned} />
        {connection.problem ? <ProblemAlert problem={connection.problem} quiet /> : null}
        {reconnect.error ? <ProblemAlert problem={reconnect.error} /> : null}
        <dl className="facts facts-wide">
          <div>
            <dt>{text("connection.fresh")}</dt>
            <dd>
              {connection.fresh_as_of
                ? moment(connection.fresh_as_of, zone)
                : text("freshness.never")}
              {connection.fresh_as_of ? (
                <span className="fact-note">{fromNow(connection.fresh_as_of)}</span>
              ) : null}
            </dd>
          </div>
          <div>
            <dt>{text("connection.by")}</dt>
            <dd>
              {connection.connected_by.name}
              <span className="fact-note">{moment(connection.connected_at, zone)}</span>
            </dd>
          </div>
          <div>
            <dt>{text("connection.scopes")}</dt>
            <dd>
              <Group gap={6} component="span">
                {connection.scopes.map((scope) => (
                  <Badge key={scope} variant="default" size="sm">
                    {scopeName(scope)}
                  </Badge>
                ))}
              </Group>
            </dd>
          </div>
        </dl>
        <Accounts connection={connection} />
        {mayManage && connection.accounts.length > 0 ? (
          <ChangeAccounts connection={connection} />
        ) : null}
        {connection.accounts.map((account) =>
          account.problem && account.selected ? (
            <ProblemAlert
              key={account.id}
              problem={{ ...account.problem, title: `${account.name}: ${account.problem.title}` }}
              quiet
            />
          ) : null,
        )}
        <Text size="xs" c="dimmed">
          {text(mayManage ? "connection.reconnect.help" : "connection.may-not")}
        </Text>
      </Stack>
    </Paper>
  );
}

/** Scopes are URLs; their last part is the one that says something. */
function scopeName(scope: string): string {
  return scope.split("/").at(-1) ?? scope;
}

function Accounts({ connection }: { connection: Connection }) {
  const text = useText();
  const label = text("connection.accounts", { count: connection.accounts.length });
  if (connection.accounts.length === 0) return null;
  return (
    <TableFrame label={label} minWidth={560} framed={false}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.advertiser")}</Table.Th>
          <Table.Th>{text("column.partner")}</Table.Th>
          <Table.Th>{text("column.currency")}</Table.Th>
          <Table.Th>{text("column.zone")}</Table.Th>
          <Table.Th>{text("column.state")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {connection.accounts.map((account) => (
          <Table.Tr key={account.id}>
            <Table.Th scope="row" fw={400}>
              {account.name}
              <Text size="xs" c="dimmed">
                ID {account.platform_id}
              </Text>
            </Table.Th>
            <Table.Td>{account.parent_name ?? text("figure.none")}</Table.Td>
            <Table.Td>{account.currency}</Table.Td>
            <Table.Td>{zoneName(account.time_zone)}</Table.Td>
            <Table.Td>
              {account.selected ? (
                <Mark kind="status" state={account.status} />
              ) : (
                text("connection.not-read")
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </TableFrame>
  );
}
