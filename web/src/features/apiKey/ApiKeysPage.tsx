/** The keys by which programs ask in the name of a person. */
import { Button, Code, Group, Modal, Paper, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { useApiKeys, useMay, useRevokeApiKey } from "../../api/queries";
import type { ApiKey, NewApiKey } from "../../api/types";
import { day, dayOf, moment } from "../../format/format";
import { Mark } from "../../ui/Mark";
import { PageTitle } from "../../ui/PageTitle";
import { permissionWords } from "../../ui/permissionWords";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, MayNot, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { ApiKeyForm } from "./ApiKeyForm";
import { MadeKey } from "./MadeKey";

export function ApiKeysPage() {
  const text = useText();
  const may = useMay()("api_keys.manage");
  const [making, form] = useDisclosure(false);
  const [made, setMade] = useState<NewApiKey | null>(null);
  const closeButtonProps = { "aria-label": text("dialog.close") };
  const show = (key: NewApiKey) => {
    form.close();
    setMade(key);
  };
  return (
    <Stack gap="lg">
      <PageTitle
        title={text("api-keys.title")}
        lead={text("api-keys.lead")}
        actions={may ? <Button onClick={form.open}>{text("api-keys.new")}</Button> : null}
      />
      {may ? <Keys /> : <MayNot>{text("api-keys.may-not")}</MayNot>}
      <Modal
        opened={making}
        onClose={form.close}
        size="lg"
        title={text("api-key.new")}
        closeButtonProps={closeButtonProps}
      >
        <ApiKeyForm onClose={form.close} onMade={show} />
      </Modal>
      <Modal
        opened={made !== null}
        onClose={() => setMade(null)}
        size="lg"
        closeOnClickOutside={false}
        title={text("api-key.made", { name: made?.key.name ?? "" })}
        closeButtonProps={closeButtonProps}
      >
        {made ? <MadeKey secret={made.secret} onClose={() => setMade(null)} /> : null}
      </Modal>
    </Stack>
  );
}

function Keys() {
  const text = useText();
  const query = useApiKeys();
  const [leaving, setLeaving] = useState<ApiKey | null>(null);
  const close = () => setLeaving(null);
  return (
    <>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={3} /> : null}
      {query.data?.items.length === 0 ? (
        <Paper withBorder>
          <Nothing icon={KeyRound} title={text("api-keys.empty")}>
            {text("api-keys.empty.help")}
          </Nothing>
        </Paper>
      ) : null}
      {query.data && query.data.items.length > 0 ? (
        <KeyTable keys={query.data.items} onRevoke={setLeaving} />
      ) : null}
      <Modal
        opened={leaving !== null}
        onClose={close}
        title={text("revoke-key.title", { name: leaving?.name ?? "" })}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        {leaving ? <Revocation apiKey={leaving} onClose={close} /> : null}
      </Modal>
    </>
  );
}

interface TableProps {
  keys: readonly ApiKey[];
  onRevoke: (key: ApiKey) => void;
}

function KeyTable({ keys, onRevoke }: TableProps) {
  const text = useText();
  const zone = useZone();
  return (
    <TableFrame label={text("api-keys.title")} minWidth={960}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("column.key")}</Table.Th>
          <Table.Th>{text("column.allows")}</Table.Th>
          <Table.Th>{text("column.made-by")}</Table.Th>
          <Table.Th>{text("column.last-used")}</Table.Th>
          <Table.Th>{text("column.expires")}</Table.Th>
          <Table.Th>{text("column.state")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {keys.map((key) => {
          const { id, name, state, last_used_at } = key;
          return (
            <Table.Tr key={id} c={state === "active" ? undefined : "dimmed"}>
              <Table.Th scope="row" fw={600}>
                {name}
                <Text size="xs" component="div">
                  <Code>{key.beginning}…</Code>
                </Text>
              </Table.Th>
              <Table.Td>{permissionWords(text, key.permissions)}</Table.Td>
              <Table.Td>
                {key.made_by}
                <Text size="xs" c="dimmed" className="nowrap">
                  {day(dayOf(key.created_at, zone))}
                </Text>
              </Table.Td>
              <Table.Td className="nowrap">
                {last_used_at ? moment(last_used_at, zone) : text("api-keys.never")}
              </Table.Td>
              <Table.Td className="nowrap">{day(dayOf(key.expires_at, zone))}</Table.Td>
              <Table.Td>
                <Group gap="sm" wrap="nowrap">
                  <Mark kind="api_key" state={state} />
                  {state === "active" || state === "maker_left" ? (
                    <Button
                      variant="default"
                      size="xs"
                      aria-label={text("api-keys.revoke.label", { name })}
                      onClick={() => onRevoke(key)}
                    >
                      {text("api-keys.revoke")}
                    </Button>
                  ) : null}
                </Group>
              </Table.Td>
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </TableFrame>
  );
}

function Revocation({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const text = useText();
  const revoke = useRevokeApiKey();
  const send = () => revoke.mutate({ id: apiKey.id }, { onSuccess: onClose });
  return (
    <Stack gap="md">
      <Text size="sm">{text("revoke-key.sentence")}</Text>
      {revoke.error ? <ProblemAlert problem={revoke.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {text("dialog.back")}
        </Button>
        <Button color="red" loading={revoke.isPending} onClick={send}>
          {text("revoke-key.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
