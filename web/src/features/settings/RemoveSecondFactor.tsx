import { Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { fieldErrors } from "../../api/problem";
import { useRemoveSecondFactor } from "../../api/queries";
import { focusFirst } from "../../ui/focusFirst";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";
import { KnownPassword } from "../session/KnownPassword";

interface Props {
  onClose: () => void;
  onDone: () => void;
}

/** Who takes the second factor away has to have both. */
export function RemoveSecondFactor({ onClose, onDone }: Props) {
  const text = useText();
  const remove = useRemoveSecondFactor();
  const form = useForm({
    initialValues: { password: "", code: "" },
    validate: {
      password: isNotEmpty(text("session.password.missing")),
      code: isNotEmpty(text("code.missing")),
    },
  });
  const submit = form.onSubmit(
    (values) =>
      remove.mutate(values, {
        onSuccess: onDone,
        onError: (problem) => form.setErrors(fieldErrors(problem)),
      }),
    focusFirst(form),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md">
        <Text size="sm">{text("second-factor.remove.sentence")}</Text>
        {remove.error ? <ProblemAlert problem={remove.error} /> : null}
        <KnownPassword label={text("session.password")} input={form.getInputProps("password")} />
        <TextInput
          label={text("code.label")}
          description={text("code.help")}
          name="code"
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellCheck={false}
          required
          {...form.getInputProps("code")}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" color="red" loading={remove.isPending}>
            {text("second-factor.remove.confirm")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
