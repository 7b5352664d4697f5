import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useChangeAccounts } from "../../api/queries";
import type { Connection } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { AccountPicker, useChoice } from "../onboarding/AccountPicker";

/** Which advertisers of a connection are read, changed after the setup. */
export function ChangeAccounts({ connection }: { connection: Connection }) {
  const text = useText();
  const [open, dialog] = useDisclosure(false);
  return (
    <Group>
      <Button variant="default" size="xs" onClick={dialog.open}>
        {text("change-accounts.open")}
      </Button>
      <Modal
        opened={open}
        onClose={dialog.close}
        size="xl"
        title={text("change-accounts.title")}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <Choice connection={connection} onClose={dialog.close} />
      </Modal>
    </Group>
  );
}

function Choice({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const text = useText();
  const choice = useChoice(connection.accounts);
  const change = useChangeAccounts();
  const send = () =>
    change.mutate({ id: connection.id, account_ids: [...choice.chosen] }, { onSuccess: onClose });
  return (
    <Stack gap="md">
      <Text size="sm">{text("change-accounts.lead")}</Text>
      <AccountPicker accounts={connection.accounts} choice={choice} />
      {change.error ? <ProblemAlert problem={change.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          {text("dialog.back")}
        </Button>
        <Button disabled={choice.chosen.size === 0} loading={change.isPending} onClick={send}>
          {text("change-accounts.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
