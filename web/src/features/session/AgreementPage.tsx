import { Button, Group, Stack, Text } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { useAgree, useMe, useSignOut } from "../../api/queries";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";
import { AgreementBox, useAgreement } from "./fields";

/** Stands before everything else for as long as the person has not agreed to the documents that hold now. */
export function AgreementPage() {
  const text = useText();
  const router = useRouter();
  const navigate = useNavigate();
  const { return: back } = useSearch({ from: "/agreement" });
  const me = useMe().data;
  const agree = useAgree();
  const agreement = useAgreement();
  const form = useForm({
    initialValues: { agreed: false },
    validate: { agreed: (agreed) => (agreed ? null : text("agree.missing")) },
  });
  const goOn = () => {
    if (back) router.history.replace(back);
    else void navigate({ to: "/", replace: true });
  };
  const submit = form.onSubmit(() => {
    if (!agreement.versions) return;
    agree.mutate(agreement.versions, {
      onSuccess: goOn,
      onError: (problem) => {
        if (agreement.isOutdated(problem)) form.setFieldValue("agreed", false);
      },
    });
  });
  return (
    <EntryPage
      title={text("agreement.title")}
      lead={text("agreement.lead")}
      foot={me ? <SignOut email={me.user.email} /> : null}
    >
      <form noValidate onSubmit={submit}>
        <Stack gap="md">
          {agree.error ? <ProblemAlert problem={agreement.problemOf(agree.error)} /> : null}
          {agreement.alert}
          <AgreementBox
            terms={agreement.terms}
            input={form.getInputProps("agreed", { type: "checkbox" })}
          />
          <Button type="submit" loading={agree.isPending}>
            {text("agreement.button")}
          </Button>
        </Stack>
      </form>
    </EntryPage>
  );
}

function SignOut({ email }: { email: string }) {
  const text = useText();
  const navigate = useNavigate();
  const signOut = useSignOut();
  const leave = () =>
    signOut.mutate(undefined, { onSettled: () => void navigate({ to: "/sign-in" }) });
  return (
    <Group justify="center" gap="xs">
      <Text size="sm">{text("agreement.signed-in", { email })}</Text>
      <Button variant="subtle" size="compact-sm" loading={signOut.isPending} onClick={leave}>
        {text("agreement.sign-out")}
      </Button>
    </Group>
  );
}
