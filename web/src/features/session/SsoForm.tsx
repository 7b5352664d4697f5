import { Button, Stack, Text, TextInput } from "@mantine/core";
import { isEmail, useForm } from "@mantine/form";
import { fieldErrors } from "../../api/problem";
import { useBeginSso } from "../../api/queries";
import { focusNow } from "../../ui/focusNow";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

interface Props {
  /** From the organisation's sign-in link: then nothing needs to be typed. */
  organisation?: string | undefined;
  email: string;
  onPassword: () => void;
}

/** Leads to the page of the organisation's identity provider. */
export function SsoForm({ organisation, email, onPassword }: Props) {
  const text = useText();
  const begin = useBeginSso();
  const form = useForm({
    initialValues: { email },
    validate: { email: organisation ? () => null : isEmail(text("session.email.wrong")) },
  });
  const submit = form.onSubmit((values) =>
    begin.mutate(organisation ? { organisation } : { email: values.email.trim() }, {
      onSuccess: (url) => window.location.assign(url),
      onError: (problem) => form.setErrors(fieldErrors(problem)),
    }),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="sm">
        {begin.error ? <ProblemAlert problem={begin.error} /> : null}
        {organisation ? null : (
          <TextInput
            ref={focusNow}
            label={text("sign-in.sso.email")}
            type="email"
            name="email"
            autoComplete="email"
            required
            {...form.getInputProps("email")}
          />
        )}
        <Button type="submit" mt="xs" loading={begin.isPending || begin.isSuccess}>
          {text("sign-in.sso.go")}
        </Button>
        <Text size="xs" ta="center">
          {text("sign-in.sso.leaves")}
        </Text>
        <Button variant="subtle" size="compact-sm" onClick={onPassword}>
          {text("sign-in.password")}
        </Button>
      </Stack>
    </form>
  );
}
