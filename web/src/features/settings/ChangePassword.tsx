import { Button, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { fieldErrors } from "../../api/problem";
import { useChangePassword } from "../../api/queries";
import { focusFirst } from "../../ui/focusFirst";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { NewPassword, newPasswordProblem } from "../session/fields";
import { KnownPassword } from "../session/KnownPassword";

/** Another password, for who knows the one until now. */
export function ChangePassword() {
  const text = useText();
  const change = useChangePassword();
  const form = useForm({
    initialValues: { current: "", new: "" },
    validate: {
      current: isNotEmpty(text("password.current.missing")),
      new: (password) => newPasswordProblem(text, password),
    },
  });
  const submit = form.onSubmit(
    (values) =>
      change.mutate(values, {
        onSuccess: form.reset,
        onError: (problem) => form.setErrors(fieldErrors(problem)),
      }),
    focusFirst(form),
  );
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="password">
      <Stack gap="md">
        <Stack gap={6}>
          <Title order={2} id="password">
            {text("password.title")}
          </Title>
          <Text size="sm">{text("password.lead")}</Text>
        </Stack>
        <form noValidate onSubmit={submit}>
          <Stack gap="sm" maw={420}>
            {change.error ? <ProblemAlert problem={change.error} /> : null}
            <KnownPassword label={text("password.current")} input={form.getInputProps("current")} />
            <NewPassword label={text("password.new")} input={form.getInputProps("new")} />
            <Group gap="sm">
              <Button type="submit" variant="default" loading={change.isPending}>
                {text("password.button")}
              </Button>
              <Text size="sm" role="status">
                {change.isSuccess ? text("password.changed") : null}
              </Text>
            </Group>
          </Stack>
        </form>
      </Stack>
    </Paper>
  );
}
