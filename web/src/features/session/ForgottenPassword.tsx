import { Alert, Button, Stack, Text, TextInput } from "@mantine/core";
import { isEmail, useForm } from "@mantine/form";
import { MailCheck } from "lucide-react";
import { fieldErrors } from "../../api/problem";
import { useForgetPassword } from "../../api/queries";
import { AnchorTo } from "../../ui/links";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { EntryPage } from "./EntryPage";

/** Asks for a link by mail. What it says afterwards is the same for every address: it tells nobody who has an account. */
export function ForgottenPassword() {
  const text = useText();
  const forget = useForgetPassword();
  const form = useForm({
    initialValues: { email: "" },
    validate: { email: isEmail(text("session.email.wrong")) },
  });
  const submit = form.onSubmit((values) =>
    forget.mutate(values, { onError: (problem) => form.setErrors(fieldErrors(problem)) }),
  );
  return (
    <EntryPage
      title={text("forgotten.title")}
      lead={text("forgotten.lead")}
      foot={<AnchorTo to="/sign-in">{text("forgotten.back")}</AnchorTo>}
    >
      {forget.isSuccess ? (
        <Stack gap="md">
          <Alert
            role="status"
            variant="light"
            icon={<MailCheck aria-hidden size={18} />}
            title={text("forgotten.sent")}
          >
            <Text size="sm">{text("forgotten.sent.help")}</Text>
          </Alert>
          <Button variant="default" onClick={forget.reset}>
            {text("forgotten.again")}
          </Button>
        </Stack>
      ) : (
        <form noValidate onSubmit={submit}>
          <Stack gap="sm">
            {forget.error ? <ProblemAlert problem={forget.error} /> : null}
            <TextInput
              label={text("session.email")}
              type="email"
              name="email"
              autoComplete="username"
              required
              {...form.getInputProps("email")}
            />
            <Button type="submit" mt="xs" loading={forget.isPending}>
              {text("forgotten.button")}
            </Button>
          </Stack>
        </form>
      )}
    </EntryPage>
  );
}
