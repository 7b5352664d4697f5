import { Badge, Button, Paper, Stack, Table, Text, Title } from "@mantine/core";
import { Fragment, useRef } from "react";
import { useRevokeSession, useSessions } from "../../api/queries";
import type { SessionItem } from "../../api/types";
import { moment } from "../../format/format";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";

/** The browsers in which the person is signed in to this organisation. */
export function Sessions() {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const query = useSessions();
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="sessions">
      <Stack gap="md">
        <Stack gap={6}>
          <Title order={2} id="sessions" ref={heading} tabIndex={-1} className="page-title">
            {text("sessions.title")}
          </Title>
          <Text size="sm">{text("sessions.lead")}</Text>
        </Stack>
        {query.error ? (
          <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
        ) : null}
        {query.isPending ? <Loading rows={2} /> : null}
        {query.data ? (
          <SessionTable sessions={query.data.items} onRevoked={() => heading.current?.focus()} />
        ) : null}
      </Stack>
    </Paper>
  );
}

interface Props {
  sessions: readonly SessionItem[];
  /** The button that asked is gone with its row. */
  onRevoked: () => void;
}

function SessionTable({ sessions, onRevoked }: Props) {
  const text = useText();
  const zone = useZone();
  const revoke = useRevokeSession();
  return (
    <TableFrame label={text("sessions.title")} minWidth={520}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.began")}</Table.Th>
          <Table.Th>{text("column.ends")}</Table.Th>
          <Table.Th>{text("column.browser")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {sessions.map(({ id, created_at, expires_at, current }) => {
          const began = moment(created_at, zone);
          const asked = revoke.variables?.id === id;
          return (
            <Fragment key={id}>
              <Table.Tr>
                <Table.Th scope="row" fw={400} className="nowrap">
                  {began}
                </Table.Th>
                <Table.Td className="nowrap">{moment(expires_at, zone)}</Table.Td>
                <Table.Td>
                  {current ? (
                    <Badge variant="default">{text("sessions.this")}</Badge>
                  ) : (
                    <Button
                      variant="default"
                      size="xs"
                      loading={asked && revoke.isPending}
                      aria-label={text("sessions.revoke.label", { began })}
                      onClick={() => revoke.mutate({ id }, { onSuccess: onRevoked })}
                    >
                      {text("sessions.revoke")}
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
              {asked && revoke.error ? (
                <Table.Tr>
                  <Table.Td colSpan={3}>
                    <ProblemAlert problem={revoke.error} />
                  </Table.Td>
                </Table.Tr>
              ) : null}
            </Fragment>
          );
        })}
      </Table.Tbody>
    </TableFrame>
  );
}
