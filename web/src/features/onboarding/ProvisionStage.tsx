import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useConsent, useMay } from "../../api/queries";
import type { Onboarding } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { Checklist } from "./Checklist";

/** The platform at work. The wizard opens the dashboard by itself when the first days are in. */
export function ProvisionStage({ onboarding }: { onboarding: Onboarding }) {
  const text = useText();
  const may = useMay();
  const failed = onboarding.state === "failed";
  return (
    <Stack gap="md">
      <div>
        <Title order={2}>{text(failed ? "provision.failed" : "provision.title")}</Title>
        <Text c="dimmed" size="sm">
          {text(failed ? "provision.failed.lead" : "provision.lead")}
        </Text>
      </div>
      <Checklist steps={onboarding.steps} />
      {failed && may("connections.manage") ? <StartAgain /> : null}
      {failed && !may("connections.manage") ? (
        <Text size="sm">{text("wizard.may-not.help")}</Text>
      ) : null}
    </Stack>
  );
}

/** What had been made was taken back, so a new beginning asks for the consent again, and for nothing else. */
function StartAgain() {
  const text = useText();
  const consent = useConsent();
  const go = () =>
    consent.mutate({ platform: "dv360" }, { onSuccess: (url) => window.location.assign(url) });
  return (
    <Stack gap="sm">
      {consent.error ? <ProblemAlert problem={consent.error} /> : null}
      <Group>
        <Button loading={consent.isPending || consent.isSuccess} onClick={go}>
          {text("provision.again")}
        </Button>
      </Group>
    </Stack>
  );
}
