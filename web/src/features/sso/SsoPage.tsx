/** The organisation's own identity provider, through which its people sign in. */
import { Badge, Button, Group, Modal, Paper, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useRef, useState } from "react";
import { useMay, useRemoveSso, useRoles, useSso } from "../../api/queries";
import type { Sso } from "../../api/types";
import { CopyField } from "../../ui/CopyField";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, MayNot } from "../../ui/states";
import { useText } from "../../ui/text";
import { ProviderForm } from "./ProviderForm";

export function SsoPage() {
  const text = useText();
  const may = useMay()("sign_in.manage");
  return (
    <Stack gap="lg">
      <PageTitle title={text("sso.title")} lead={text("sso.lead")} />
      {may ? <Settings /> : <MayNot>{text("sso.may-not")}</MayNot>}
    </Stack>
  );
}

function Settings() {
  const query = useSso();
  const seesRoles = useMay()("members.read");
  const roles = useRoles(seesRoles);
  const waits = query.isPending || (seesRoles && roles.isPending);
  return (
    <>
      {query.error ? (
        <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
      ) : null}
      {roles.error ? (
        <ProblemAlert problem={roles.error} onRetry={() => void roles.refetch()} />
      ) : null}
      {waits ? <Loading rows={6} /> : null}
      {query.data && !waits ? (
        <>
          <Ours sso={query.data} />
          <Theirs sso={query.data} roles={roles.data?.items ?? []} />
        </>
      ) : null}
    </>
  );
}

/** What has to be told elsewhere. */
function Ours({ sso }: { sso: Sso }) {
  const text = useText();
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="sso-ours">
      <Stack gap="sm" maw={640}>
        <Title order={2} id="sso-ours">
          {text("sso.ours.title")}
        </Title>
        <CopyField
          label={text("sso.redirect")}
          description={text("sso.redirect.help")}
          value={sso.redirect_uri}
        />
        <CopyField
          label={text("sso.link")}
          description={text("sso.link.help")}
          value={sso.sign_in_url}
        />
      </Stack>
    </Paper>
  );
}

interface TheirsProps {
  sso: Sso;
  roles: readonly { name: string; title: string }[];
}

function Theirs({ sso: { provider }, roles }: TheirsProps) {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const [removing, dialog] = useDisclosure(false);
  // Without the provider that was there, the form begins anew.
  const isSet = Boolean(provider);
  const [wasSet, setWasSet] = useState(isSet);
  const [round, setRound] = useState(0);
  if (wasSet !== isSet) {
    setWasSet(isSet);
    if (wasSet) setRound(round + 1);
  }
  const removed = () => {
    dialog.close();
    setTimeout(() => heading.current?.focus());
  };
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="sso-provider">
      <Stack gap="md">
        <Group justify="space-between" align="flex-start">
          <Stack gap={6} maw={560}>
            <Group gap="sm">
              <Title order={2} id="sso-provider" ref={heading} tabIndex={-1} className="page-title">
                {text("sso.provider.title")}
              </Title>
              <Badge color={provider ? "green" : "gray"} variant={provider ? "light" : "default"}>
                {text(provider ? "sso.on" : "sso.off")}
              </Badge>
            </Group>
            <Text size="sm">{text("sso.provider.lead")}</Text>
          </Stack>
          {provider ? (
            <Button variant="default" onClick={dialog.open}>
              {text("sso.remove")}
            </Button>
          ) : null}
        </Group>
        <ProviderForm key={round} provider={provider ?? null} roles={roles} />
      </Stack>
      <Modal
        opened={removing}
        onClose={dialog.close}
        title={text("sso.remove.title")}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <Removal onClose={dialog.close} onRemoved={removed} />
      </Modal>
    </Paper>
  );
}

function Removal({ onClose, onRemoved }: { onClose: () => void; onRemoved: () => void }) {
  const text = useText();
  const remove = useRemoveSso();
  return (
    <Stack gap="md">
      <Text size="sm">{text("sso.remove.sentence")}</Text>
      {remove.error ? <ProblemAlert problem={remove.error} /> : null}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose} data-autofocus>
          {text("dialog.back")}
        </Button>
        <Button
          color="red"
          loading={remove.isPending}
          onClick={() => remove.mutate(undefined, { onSuccess: onRemoved })}
        >
          {text("sso.remove.confirm")}
        </Button>
      </Group>
    </Stack>
  );
}
