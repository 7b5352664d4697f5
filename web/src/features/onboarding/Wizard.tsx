/** From sign-up to the first dashboard. Where one is, is the server's knowledge: a reload resumes. */
import { AppShell, Button, Group, Modal, Paper, Stack, Text, VisuallyHidden } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouteContext, useSearch } from "@tanstack/react-router";
import { Check, Lock } from "lucide-react";
import { useEffect } from "react";
import { Brand } from "../../app/Brand";
import { OrganisationName } from "../../app/OrganisationName";
import {
  keepOnboarding,
  onboardingQuery,
  useCancelOnboarding,
  useMay,
  useMe,
  useSignOut,
} from "../../api/queries";
import type { Onboarding } from "../../api/types";
import { PageTitle } from "../../ui/PageTitle";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading, Nothing } from "../../ui/states";
import { useText } from "../../ui/text";
import { ChooseStage } from "./ChooseStage";
import { ConnectStage } from "./ConnectStage";
import { ProvisionStage } from "./ProvisionStage";
import { isReady, STAGES, stageOf, type Stage } from "./stages";
import { ConsentProblem } from "./ConsentProblem";

/** Another organisation is another setup: nothing on the screen outlives a switch. */
export function Wizard() {
  const { organisation } = useRouteContext({ from: "/onboarding" });
  return <Setup key={organisation} />;
}

function Setup() {
  const text = useText();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const me = useMe().data;
  const signOut = useSignOut();
  const query = useQuery(onboardingQuery());
  const onboarding = query.data;
  const { problem } = useSearch({ from: "/onboarding" });
  useEffect(() => {
    if (!onboarding || !isReady(onboarding.state)) return;
    keepOnboarding(onboarding, queries);
    // A consent that could not be told from an old or a foreign one comes back to this address, whoever asked for it.
    if (problem) void navigate({ to: "/connections", search: { problem }, replace: true });
    else void navigate({ to: "/", replace: true });
  }, [onboarding, problem, queries, navigate]);
  const leave = () =>
    signOut.mutate(undefined, { onSettled: () => void navigate({ to: "/sign-in" }) });
  return (
    <AppShell header={{ height: 48 }} padding="lg">
      <AppShell.Header className="shell-header">
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap" miw={0}>
            <Brand />
            {me ? <OrganisationName organisation={me.organisation} /> : null}
          </Group>
          <Button variant="subtle" color="gray" size="xs" onClick={leave}>
            {text("shell.sign-out")}
          </Button>
        </Group>
      </AppShell.Header>
      <AppShell.Main>
        <Stack maw={820} mx="auto" gap="lg">
          <PageTitle title={text("wizard.title")} lead={text("wizard.lead")} />
          {onboarding === undefined ? (
            query.error ? (
              <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
            ) : (
              <Loading rows={4} height={56} />
            )
          ) : (
            <Stages onboarding={onboarding} />
          )}
        </Stack>
      </AppShell.Main>
    </AppShell>
  );
}

function Stages({ onboarding }: { onboarding: Onboarding | null }) {
  const text = useText();
  const may = useMay()("connections.manage");
  const stage = stageOf(onboarding);
  return (
    <Stack gap="lg">
      <Progress current={stage} />
      <WizardProblem onboarding={onboarding} />
      <Paper withBorder p="lg" component="section" aria-label={text(`wizard.stage.${stage}`)}>
        {may || stage === "provision" ? null : (
          <Nothing icon={Lock} title={text("wizard.may-not")}>
            {text("wizard.may-not.help")}
          </Nothing>
        )}
        {may && stage === "connect" ? <ConnectStage onboarding={onboarding} /> : null}
        {may && stage === "choose" && onboarding ? <ChooseStage onboarding={onboarding} /> : null}
        {stage === "provision" && onboarding ? <ProvisionStage onboarding={onboarding} /> : null}
      </Paper>
      {may && onboarding?.can_cancel ? <CancelOnboarding /> : null}
    </Stack>
  );
}

function Progress({ current }: { current: Stage }) {
  const text = useText();
  const at = STAGES.indexOf(current);
  return (
    <ol className="wizard-steps" aria-label={text("wizard.progress")}>
      {STAGES.map((stage, index) => (
        <li
          key={stage}
          className="wizard-step"
          data-state={index < at ? "done" : index === at ? "current" : "waiting"}
          aria-current={index === at ? "step" : undefined}
        >
          <span className="wizard-step-number" aria-hidden>
            {index < at ? <Check size={15} strokeWidth={3} /> : index + 1}
          </span>
          <span>
            {text(`wizard.stage.${stage}`)}
            {index < at ? <VisuallyHidden> {text("wizard.stage.done")}</VisuallyHidden> : null}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** What the platform or the consent page reported. A retry starts where the person is. */
function WizardProblem({ onboarding }: { onboarding: Onboarding | null }) {
  const { problem: code } = useSearch({ from: "/onboarding" });
  if (onboarding?.problem) return <ProblemAlert problem={onboarding.problem} />;
  if (code && stageOf(onboarding) === "connect") return <ConsentProblem code={code} />;
  return null;
}

function CancelOnboarding() {
  const text = useText();
  const [open, dialog] = useDisclosure(false);
  const cancel = useCancelOnboarding();
  return (
    <Group justify="flex-end">
      <Button variant="subtle" color="red" size="xs" onClick={dialog.open}>
        {text("wizard.cancel")}
      </Button>
      <Modal
        opened={open}
        onClose={dialog.close}
        title={text("wizard.cancel.title")}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <Stack gap="md">
          <Text size="sm">{text("wizard.cancel.sentence")}</Text>
          {cancel.error ? <ProblemAlert problem={cancel.error} /> : null}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={dialog.close}>
              {text("wizard.cancel.keep")}
            </Button>
            <Button
              color="red"
              loading={cancel.isPending}
              onClick={() => cancel.mutate(undefined, { onSuccess: dialog.close })}
            >
              {text("wizard.cancel.confirm")}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Group>
  );
}
