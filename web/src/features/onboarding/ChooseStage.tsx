import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useChooseAccounts } from "../../api/queries";
import type { Onboarding } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { AccountPicker, useChoice } from "./AccountPicker";

/** Which advertisers are brought in. */
export function ChooseStage({ onboarding }: { onboarding: Onboarding }) {
  const text = useText();
  const choice = useChoice(onboarding.accounts);
  const choose = useChooseAccounts();
  const submit = () => choose.mutate({ account_ids: [...choice.chosen] });
  return (
    <Stack gap="md">
      <div>
        <Title order={2}>{text("choose.title")}</Title>
        <Text c="dimmed" size="sm">
          {text("choose.lead")}
        </Text>
      </div>
      <AccountPicker accounts={onboarding.accounts} choice={choice} />
      {choose.error ? <ProblemAlert problem={choose.error} /> : null}
      <Group justify="flex-end">
        <Button
          disabled={choice.chosen.size === 0}
          loading={choose.isPending || choose.isSuccess}
          onClick={submit}
        >
          {text("choose.button")}
        </Button>
      </Group>
    </Stack>
  );
}
