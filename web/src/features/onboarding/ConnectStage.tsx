import { Badge, Button, Group, List, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { Check, X } from "lucide-react";
import { useConsent } from "../../api/queries";
import type { Onboarding } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { Checklist } from "./Checklist";

const COMING = ["The Trade Desk", "Meta Ads", "Google Ads"] as const;

/** The platforms to connect, and in plain words what we ask of them, before the browser leaves for their consent page. */
export function ConnectStage({ onboarding }: { onboarding: Onboarding | null }) {
  const text = useText();
  if (onboarding?.state === "verifying") {
    return (
      <Stack gap="md">
        <Title order={2}>{text("connect.verifying.title")}</Title>
        <Checklist steps={onboarding.steps.filter((step) => VERIFYING.has(step.key))} />
      </Stack>
    );
  }
  return (
    <Stack gap="md">
      <div>
        <Title order={2}>{text("connect.title")}</Title>
        <Text c="dimmed" size="sm">
          {text("connect.lead")}
        </Text>
      </div>
      <Dv360Card again={onboarding?.state === "failed" || onboarding?.state === "cancelled"} />
      <Title order={3}>{text("connect.coming.title")}</Title>
      <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="sm">
        {COMING.map((name) => (
          <Paper key={name} withBorder p="sm" className="coming">
            <Group justify="space-between" wrap="nowrap" gap="xs">
              <Text size="sm" fw={600}>
                {name}
              </Text>
              <Badge variant="default" size="sm">
                {text("connect.coming")}
              </Badge>
            </Group>
          </Paper>
        ))}
      </SimpleGrid>
    </Stack>
  );
}

const VERIFYING: ReadonlySet<string> = new Set(["connect", "verify", "discover"]);

function Dv360Card({ again }: { again: boolean }) {
  const text = useText();
  const consent = useConsent();
  const go = () =>
    consent.mutate({ platform: "dv360" }, { onSuccess: (url) => window.location.assign(url) });
  const leaving = consent.isPending || consent.isSuccess;
  return (
    <Paper withBorder p="md" component="section" aria-labelledby="dv360">
      <Stack gap="sm">
        <Title order={3} id="dv360">
          Display &amp; Video 360
        </Title>
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
          <div>
            <Text size="sm" fw={600} mb={4}>
              {text("connect.will")}
            </Text>
            <List size="sm" spacing={4} icon={<Check aria-hidden size={15} className="good" />}>
              <List.Item>{text("connect.will.see")}</List.Item>
              <List.Item>{text("connect.will.reports")}</List.Item>
              <List.Item>{text("connect.will.budgets")}</List.Item>
            </List>
          </div>
          <div>
            <Text size="sm" fw={600} mb={4}>
              {text("connect.never")}
            </Text>
            <List size="sm" spacing={4} icon={<X aria-hidden size={15} className="bad" />}>
              <List.Item>{text("connect.never.unapproved")}</List.Item>
              <List.Item>{text("connect.never.password")}</List.Item>
              <List.Item>{text("connect.never.users")}</List.Item>
            </List>
          </div>
        </SimpleGrid>
        {consent.error ? <ProblemAlert problem={consent.error} onRetry={go} /> : null}
        <Group gap="md">
          <Button onClick={go} loading={leaving}>
            {again ? text("connect.again") : text("connect.button")}
          </Button>
          <Text size="sm" c="dimmed">
            {text("connect.leaves")}
          </Text>
        </Group>
      </Stack>
    </Paper>
  );
}
