import { Button, Checkbox, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { FOR_KEYS, type KeyPermission } from "../../api/permissions";
import { fieldErrors } from "../../api/problem";
import { useCreateApiKey, useMay } from "../../api/queries";
import type { NewApiKey, Problem } from "../../api/types";
import { focusFirst } from "../../ui/focusFirst";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

const DAYS = [30, 90, 365];
const MAX_NAME = 100;

interface Props {
  onClose: () => void;
  onMade: (made: NewApiKey) => void;
}

/** A key can be given only what its maker has, and nothing of what is for persons. */
export function ApiKeyForm({ onClose, onMade }: Props) {
  const text = useText();
  const may = useMay();
  const create = useCreateApiKey();
  const offered = FOR_KEYS.filter(may);
  const form = useForm({
    initialValues: { name: "", permissions: [] as KeyPermission[], days: String(DAYS[1]) },
    validate: {
      name: isNotEmpty(text("api-key.name.missing")),
      permissions: (chosen) => (chosen.length === 0 ? text("api-key.permissions.missing") : null),
    },
  });
  const submit = form.onSubmit(
    ({ name, permissions, days }) =>
      create.mutate(
        { name: name.trim(), permissions, expires_in_days: Number(days) },
        { onSuccess: onMade, onError: (problem) => form.setErrors(keyErrors(problem)) },
      ),
    focusFirst(form),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md">
        {create.error ? <ProblemAlert problem={create.error} /> : null}
        <TextInput
          label={text("api-key.name")}
          description={text("api-key.name.help")}
          required
          maxLength={MAX_NAME}
          data-autofocus
          {...form.getInputProps("name")}
        />
        {offered.length === 0 ? (
          <Text size="sm">{text("api-key.permissions.none")}</Text>
        ) : (
          <Checkbox.Group
            label={text("api-key.permissions")}
            description={text("api-key.permissions.help")}
            required
            {...form.getInputProps("permissions")}
          >
            <Stack gap="sm" mt="xs" mb="xs">
              {offered.map((permission) => (
                <Checkbox
                  key={permission}
                  value={permission}
                  label={text(`permission.${permission}`)}
                  description={text(`permission.${permission}.help`)}
                />
              ))}
            </Stack>
          </Checkbox.Group>
        )}
        <NativeSelect
          label={text("api-key.expires")}
          data={DAYS.map((days) => ({
            value: String(days),
            label: text("api-key.days", { days }),
          }))}
          {...form.getInputProps("days")}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" loading={create.isPending} disabled={offered.length === 0}>
            {text("api-key.create")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** What is wrong with one of the permissions is said under all of them. */
function keyErrors(problem: Problem): Record<string, string> {
  const pairs = Object.entries(fieldErrors(problem));
  return Object.fromEntries(
    pairs.map(([name, message]) => [
      name === "expires_in_days" ? "days" : (name.split(".")[0] ?? name),
      message,
    ]),
  );
}
