import { Badge, Button, Group, Modal, Paper, Stack, Text, Textarea, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState, type FormEvent } from "react";
import { useMay, useMe, useSetFreeze } from "../../api/queries";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading } from "../../ui/states";
import { useText } from "../../ui/text";

/** What holds for the whole organisation. */
export function SettingsPage() {
  const text = useText();
  const query = useMe();
  return (
    <Stack gap="lg">
      <PageTitle title={text("settings.title")} lead={text("settings.lead")} />
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {query.isPending ? <Loading rows={1} height={160} /> : null}
      {query.data ? <Freeze frozen={query.data.organisation.frozen} /> : null}
    </Stack>
  );
}

/** The switch that stops every change on its way to a platform, whoever approved it. */
function Freeze({ frozen }: { frozen: boolean }) {
  const text = useText();
  const may = useMay();
  const [open, dialog] = useDisclosure(false);
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="freeze">
      <Group justify="space-between" align="flex-start">
        <Stack gap={6} maw={560}>
          <Group gap="sm">
            <Title order={2} id="freeze">
              {text("freeze.title")}
            </Title>
            <Badge color={frozen ? "red" : "gray"} variant={frozen ? "filled" : "default"}>
              {text(frozen ? "freeze.on" : "freeze.off")}
            </Badge>
          </Group>
          <Text size="sm">{text("freeze.lead")}</Text>
        </Stack>
        {may("changes.freeze") ? (
          <Button
            variant={frozen ? "filled" : "default"}
            color={frozen ? undefined : "red"}
            onClick={dialog.open}
          >
            {text(frozen ? "freeze.lift" : "freeze.freeze")}
          </Button>
        ) : (
          <Text size="sm" c="dimmed">
            {text(frozen ? "freeze.may-not.frozen" : "freeze.may-not")}
          </Text>
        )}
      </Group>
      <Modal
        opened={open}
        onClose={dialog.close}
        title={text(frozen ? "freeze.lift.title" : "freeze.freeze.title")}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <FreezeForm frozen={!frozen} onClose={dialog.close} />
      </Modal>
    </Paper>
  );
}

/** `frozen` is what the organisation will be. */
function FreezeForm({ frozen, onClose }: { frozen: boolean; onClose: () => void }) {
  const text = useText();
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const change = useSetFreeze();
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (reason.trim() === "") setMissing(true);
    else change.mutate({ frozen, reason: reason.trim() }, { onSuccess: onClose });
  };
  return (
    <form onSubmit={send} noValidate>
      <Stack gap="md">
        <Text size="sm">{text(frozen ? "freeze.freeze.sentence" : "freeze.lift.sentence")}</Text>
        <Textarea
          label={text("reason.label")}
          description={text("freeze.reason.help")}
          required
          maxLength={500}
          value={reason}
          error={missing && reason.trim() === "" ? text("reason.missing") : null}
          onChange={(event) => setReason(event.currentTarget.value)}
          data-autofocus
        />
        {change.error ? <ProblemAlert problem={change.error} /> : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" color={frozen ? "red" : undefined} loading={change.isPending}>
            {text(frozen ? "freeze.freeze.confirm" : "freeze.lift.confirm")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
