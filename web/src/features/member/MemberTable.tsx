import { Badge, Button, Group, Modal, Select, Stack, Table, Text } from "@mantine/core";
import { useState } from "react";
import { useUpdateMember } from "../../api/queries";
import type { Member, Role } from "../../api/types";
import { day, dayOf } from "../../format/format";
import { Mark } from "../../ui/Mark";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";

interface Props {
  members: readonly Member[];
  roles: readonly Role[];
  mayManage: boolean;
}

/** Everybody who belongs to the organisation; at the end those who may not sign in any more. */
export function MemberTable({ members, roles, mayManage }: Props) {
  const text = useText();
  const [leaving, setLeaving] = useState<Member | null>(null);
  const close = () => setLeaving(null);
  const sorted = members.toSorted((a, b) => Number(b.active) - Number(a.active));
  return (
    <>
      <TableFrame label={text("members.list")} minWidth={760}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text("column.member")}</Table.Th>
            <Table.Th>{text("column.role")}</Table.Th>
            <Table.Th>{text("column.joined")}</Table.Th>
            <Table.Th>{text("column.state")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sorted.map((member) => (
            <MemberRow
              key={member.id}
              member={member}
              roles={roles}
              mayManage={mayManage}
              onDeactivate={() => setLeaving(member)}
            />
          ))}
        </Table.Tbody>
      </TableFrame>
      <Modal
        opened={leaving !== null}
        onClose={close}
        title={text("deactivate.title", { name: leaving?.name ?? "" })}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        {leaving ? <Deactivation member={leaving} onClose={close} /> : null}
      </Modal>
    </>
  );
}

interface RowProps {
  member: Member;
  roles: readonly Role[];
  mayManage: boolean;
  onDeactivate: () => void;
}

function MemberRow({ member, roles, mayManage, onDeactivate }: RowProps) {
  const text = useText();
  const zone = useZone();
  const update = useUpdateMember();
  const { id, name, active } = member;
  const wanted = update.isPending ? update.variables.role : null;
  return (
    <>
      <Table.Tr c={active ? undefined : "dimmed"}>
        <Table.Th scope="row" fw={400}>
          <Group gap={8}>
            <Text size="sm" fw={600}>
              {name}
            </Text>
            {member.is_you ? (
              <Badge size="sm" variant="default">
                {text("member.you")}
              </Badge>
            ) : null}
          </Group>
          <Text size="xs" c="dimmed">
            {member.email}
          </Text>
        </Table.Th>
        <Table.Td>
          <Group gap="sm" wrap="nowrap">
            {mayManage ? (
              <Select
                aria-label={text("member.role", { name })}
                w={200}
                size="xs"
                allowDeselect={false}
                data={roles.map((role) => ({ value: role.name, label: role.title }))}
                value={wanted ?? member.role}
                onChange={(role) => {
                  if (role !== member.role) update.mutate({ id, role });
                }}
              />
            ) : (
              titleOf(roles, member.role)
            )}
            <Text size="sm" role="status">
              {update.isSuccess ? text("member.saved") : null}
            </Text>
          </Group>
        </Table.Td>
        <Table.Td className="nowrap">{day(dayOf(member.joined_at, zone))}</Table.Td>
        <Table.Td>
          <Group gap="sm" wrap="nowrap">
            <Mark kind="member" state={active ? "active" : "deactivated"} />
            {mayManage ? (
              <Button
                variant="default"
                size="xs"
                loading={update.isPending && wanted == null}
                aria-label={text(active ? "member.deactivate.label" : "member.activate.label", {
                  name,
                })}
                onClick={active ? onDeactivate : () => update.mutate({ id, active: true })}
              >
                {text(active ? "member.deactivate" : "member.activate")}
              </Button>
            ) : null}
          </Group>
        </Table.Td>
      </Table.Tr>
      {update.error ? (
        <Table.Tr>
          <Table.Td colSpan={4}>
            <ProblemAlert problem={update.error} />
          </Table.Td>
        </Table.Tr>
      ) : null}
    </>
  );
}

function titleOf(roles: readonly Role[], name: string): string {
  return roles.find((role) => role.name === name)?.title ?? name;
}

function Deactivation({ member, onClose }: { member: Member; onClose: () => void }) {
  const text = useText();
  const update = useUpdateMember();
  const send = () => update.mutate({ id: member.id, active: false }, { onSuccess: onClose });
  return (
    <Stack gap="md">
      <Text size="sm">{text("deactivate.sentence")}</Text>
      {member.is_you ? (
        <Text size="sm" fw={600}>
          {text("deactivate.you")}
        </Text>
      ) : null}
      {update.error ? <ProblemAlert problem={update.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {text("dialog.back")}
        </Button>
        <Button color="red" loading={update.isPending} onClick={send}>
          {text("deactivate.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
