import { Button, Group, Modal, Paper, Stack, Table, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { UserPlus } from "lucide-react";
import { Fragment, useRef, useState } from "react";
import { useInvitations, useInvite, useWithdrawInvitation } from "../../api/queries";
import type { Invitation, NewInvitation, Role } from "../../api/types";
import { moment } from "../../format/format";
import { Mark } from "../../ui/Mark";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { TableFrame } from "../../ui/TableFrame";
import { useText } from "../../ui/text";
import { useZone } from "../../ui/useZone";
import { Invited } from "./Invited";
import { InviteForm } from "./InviteForm";

/** Who was asked to join. For who manages members. */
export function Invitations({ roles }: { roles: readonly Role[] }) {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const query = useInvitations();
  const [inviting, form] = useDisclosure(false);
  const [made, setMade] = useState<NewInvitation | null>(null);
  const [leaving, setLeaving] = useState<Invitation | null>(null);
  const closeButtonProps = { "aria-label": text("dialog.close") };
  const show = (invited: NewInvitation) => {
    form.close();
    setMade(invited);
  };
  return (
    <section aria-labelledby="invitations-title">
      <Group justify="space-between" align="flex-end" mb="sm">
        <div>
          <Title
            order={2}
            id="invitations-title"
            ref={heading}
            tabIndex={-1}
            className="page-title"
          >
            {text("invitations.title")}
          </Title>
          <Text size="sm" c="dimmed">
            {text("invitations.lead")}
          </Text>
        </div>
        <Button onClick={form.open}>{text("invitations.new")}</Button>
      </Group>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={2} /> : null}
      {query.data?.items.length === 0 ? (
        <Paper withBorder>
          <Nothing icon={UserPlus} title={text("invitations.empty")}>
            {text("invitations.empty.help")}
          </Nothing>
        </Paper>
      ) : null}
      {query.data && query.data.items.length > 0 ? (
        <InvitationTable invitations={query.data.items} onSent={setMade} onWithdraw={setLeaving} />
      ) : null}
      <Modal
        opened={inviting}
        onClose={form.close}
        title={text("invite.title")}
        closeButtonProps={closeButtonProps}
      >
        <InviteForm roles={roles} onClose={form.close} onInvited={show} />
      </Modal>
      <Modal
        opened={made !== null}
        onClose={() => setMade(null)}
        size="lg"
        closeOnClickOutside={false}
        title={text("invited.title", { email: made?.invitation.email ?? "" })}
        closeButtonProps={closeButtonProps}
      >
        {made ? <Invited made={made} onClose={() => setMade(null)} /> : null}
      </Modal>
      <Modal
        opened={leaving !== null}
        onClose={() => setLeaving(null)}
        title={text("withdraw.title")}
        closeButtonProps={closeButtonProps}
      >
        {leaving ? (
          <Withdrawal
            invitation={leaving}
            onClose={() => setLeaving(null)}
            onWithdrawn={() => heading.current?.focus()}
          />
        ) : null}
      </Modal>
    </section>
  );
}

function stateOf({ expired, mailed }: Invitation): "expired" | "not_mailed" | "waiting" {
  if (expired) return "expired";
  return mailed ? "waiting" : "not_mailed";
}

interface TableProps {
  invitations: readonly Invitation[];
  onSent: (made: NewInvitation) => void;
  onWithdraw: (invitation: Invitation) => void;
}

function InvitationTable({ invitations, onSent, onWithdraw }: TableProps) {
  const text = useText();
  const zone = useZone();
  const again = useInvite();
  return (
    <TableFrame label={text("invitations.title")} minWidth={860}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{text("session.email")}</Table.Th>
          <Table.Th>{text("column.role")}</Table.Th>
          <Table.Th>{text("column.invited")}</Table.Th>
          <Table.Th>{text("column.until")}</Table.Th>
          <Table.Th>{text("column.state")}</Table.Th>
          <Table.Th>{text("column.change")}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {invitations.map((invitation) => {
          const { id, email, role } = invitation;
          const asked = again.variables?.email === email;
          return (
            <Fragment key={id}>
              <Table.Tr>
                <Table.Th scope="row" fw={600}>
                  {email}
                </Table.Th>
                <Table.Td>{invitation.role_title}</Table.Td>
                <Table.Td>
                  <span className="nowrap">{moment(invitation.sent_at, zone)}</span>
                  <Text size="xs" c="dimmed">
                    {text("invitations.by", { name: invitation.invited_by })}
                  </Text>
                </Table.Td>
                <Table.Td className="nowrap">{moment(invitation.expires_at, zone)}</Table.Td>
                <Table.Td>
                  <Mark kind="invitation" state={stateOf(invitation)} />
                </Table.Td>
                <Table.Td>
                  <Group gap="xs" wrap="nowrap">
                    <Button
                      variant="default"
                      size="xs"
                      loading={asked && again.isPending}
                      aria-label={text("invitations.again.label", { email })}
                      onClick={() => again.mutate({ email, role }, { onSuccess: onSent })}
                    >
                      {text("invitations.again")}
                    </Button>
                    <Button
                      variant="default"
                      size="xs"
                      aria-label={text("invitations.withdraw.label", { email })}
                      onClick={() => onWithdraw(invitation)}
                    >
                      {text("invitations.withdraw")}
                    </Button>
                  </Group>
                </Table.Td>
              </Table.Tr>
              {asked && again.error ? (
                <Table.Tr>
                  <Table.Td colSpan={6}>
                    <ProblemAlert problem={again.error} />
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

interface WithdrawalProps {
  invitation: Invitation;
  onClose: () => void;
  /** The button that asked is gone with its row. */
  onWithdrawn: () => void;
}

function Withdrawal({ invitation: { id, email }, onClose, onWithdrawn }: WithdrawalProps) {
  const text = useText();
  const withdraw = useWithdrawInvitation();
  const send = () =>
    withdraw.mutate(
      { id },
      {
        onSuccess: () => {
          onClose();
          onWithdrawn();
        },
      },
    );
  return (
    <Stack gap="md">
      <Text size="sm">{text("withdraw.sentence", { email })}</Text>
      {withdraw.error ? <ProblemAlert problem={withdraw.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {text("dialog.back")}
        </Button>
        <Button color="red" loading={withdraw.isPending} onClick={send}>
          {text("withdraw.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
