import { Button, Group, Modal, Stack, Table, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useRef, useState } from "react";
import { useDeleteRole } from "../../api/queries";
import type { Member, Role } from "../../api/types";
import { count } from "../../format/format";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { TableFrame } from "../../ui/TableFrame";
import { permissionWords } from "../../ui/permissionWords";
import { useText } from "../../ui/text";
import { RoleForm } from "./RoleForm";

/** The role that may do everything, and stays so. */
const ADMIN = "admin";

interface Props {
  roles: readonly Role[];
  members: readonly Member[];
  mayManage: boolean;
}

export function Roles({ roles, members, mayManage }: Props) {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const [making, maker] = useDisclosure(false);
  const [edited, setEdited] = useState<Role | null>(null);
  const [leaving, setLeaving] = useState<Role | null>(null);
  const closeButtonProps = { "aria-label": text("dialog.close") };
  return (
    <section aria-labelledby="roles-title">
      <Group justify="space-between" align="flex-end" mb="sm">
        <div>
          <Title order={2} id="roles-title" ref={heading} tabIndex={-1} className="page-title">
            {text("roles.title")}
          </Title>
          <Text size="sm" c="dimmed">
            {text("roles.lead")}
          </Text>
        </div>
        {mayManage ? (
          <Button variant="default" onClick={maker.open}>
            {text("roles.new")}
          </Button>
        ) : null}
      </Group>
      <TableFrame label={text("roles.title")} minWidth={760}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{text("column.role")}</Table.Th>
            <Table.Th className="number">{text("column.members")}</Table.Th>
            <Table.Th>{text("column.allows")}</Table.Th>
            {mayManage ? <Table.Th>{text("column.change")}</Table.Th> : null}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {roles.map((role) => (
            <Table.Tr key={role.name}>
              <Table.Th scope="row" className="nowrap">
                {role.title}
              </Table.Th>
              <Table.Td className="number">{count(role.members)}</Table.Td>
              <Table.Td>
                {role.name === ADMIN
                  ? text("roles.admin")
                  : permissionWords(text, role.permissions) || text("roles.nothing")}
              </Table.Td>
              {mayManage ? (
                <Table.Td>
                  {role.name === ADMIN ? null : (
                    <Change
                      role={role}
                      inUse={members.some((member) => member.role === role.name)}
                      onEdit={() => setEdited(role)}
                      onDelete={() => setLeaving(role)}
                    />
                  )}
                </Table.Td>
              ) : null}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </TableFrame>
      <Modal
        opened={making}
        onClose={maker.close}
        size="lg"
        title={text("role.new")}
        closeButtonProps={closeButtonProps}
      >
        <RoleForm onClose={maker.close} />
      </Modal>
      <Modal
        opened={edited !== null}
        onClose={() => setEdited(null)}
        size="lg"
        title={text("role.edit", { title: edited?.title ?? "" })}
        closeButtonProps={closeButtonProps}
      >
        {edited ? <RoleForm role={edited} onClose={() => setEdited(null)} /> : null}
      </Modal>
      <Modal
        opened={leaving !== null}
        onClose={() => setLeaving(null)}
        title={text("delete-role.title", { title: leaving?.title ?? "" })}
        closeButtonProps={closeButtonProps}
      >
        {leaving ? (
          <Deletion
            role={leaving}
            onClose={() => setLeaving(null)}
            onDeleted={() => heading.current?.focus()}
          />
        ) : null}
      </Modal>
    </section>
  );
}

interface ChangeProps {
  role: Role;
  /** A member has it who may sign in, or not any more. */
  inUse: boolean;
  onEdit: () => void;
  onDelete: () => void;
}

function Change({ role, inUse, onEdit, onDelete }: ChangeProps) {
  const text = useText();
  const { title } = role;
  const kept = role.built_in ? "roles.built-in" : inUse ? "roles.in-use" : null;
  return (
    <Stack gap={4}>
      <Group gap="xs" wrap="nowrap">
        <Button
          variant="default"
          size="xs"
          aria-label={text("roles.edit.label", { title })}
          onClick={onEdit}
        >
          {text("roles.edit")}
        </Button>
        <Button
          variant="default"
          size="xs"
          aria-label={text("roles.delete.label", { title })}
          aria-describedby={kept ? `kept-${role.name}` : undefined}
          disabled={kept !== null}
          onClick={onDelete}
        >
          {text("roles.delete")}
        </Button>
      </Group>
      {kept ? (
        <Text size="xs" c="dimmed" id={`kept-${role.name}`}>
          {text(kept)}
        </Text>
      ) : null}
    </Stack>
  );
}

interface DeletionProps {
  role: Role;
  onClose: () => void;
  /** The button that asked is gone with its row. */
  onDeleted: () => void;
}

function Deletion({ role, onClose, onDeleted }: DeletionProps) {
  const text = useText();
  const change = useDeleteRole();
  const send = () =>
    change.mutate(
      { name: role.name },
      {
        onSuccess: () => {
          onClose();
          onDeleted();
        },
      },
    );
  return (
    <Stack gap="md">
      <Text size="sm">{text("delete-role.sentence")}</Text>
      {change.error ? <ProblemAlert problem={change.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {text("dialog.back")}
        </Button>
        <Button color="red" loading={change.isPending} onClick={send}>
          {text("delete-role.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
