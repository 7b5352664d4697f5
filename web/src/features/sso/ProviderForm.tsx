import {
  Button,
  Checkbox,
  Group,
  NativeSelect,
  PasswordInput,
  Stack,
  Text,
  TextInput,
} from "@mantine/core";
import { isNotEmpty, useForm } from "@mantine/form";
import { fieldErrors } from "../../api/problem";
import { useSetSso } from "../../api/queries";
import type { SsoProvider } from "../../api/types";
import { focusFirst } from "../../ui/focusFirst";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

const LONGEST = 500;
const MEMBERS_ONLY = "";

interface Props {
  /** The one that is used now. */
  provider: SsoProvider | null;
  roles: readonly { name: string; title: string }[];
}

export function ProviderForm({ provider, roles }: Props) {
  const text = useText();
  const set = useSetSso();
  const form = useForm({
    initialValues: {
      issuer: provider?.issuer ?? "",
      client_id: provider?.client_id ?? "",
      client_secret: "",
      default_role: provider?.default_role ?? MEMBERS_ONLY,
      required: provider?.required ?? false,
    },
    validate: {
      issuer: isNotEmpty(text("sso.issuer.missing")),
      client_id: isNotEmpty(text("sso.client.missing")),
      client_secret: provider ? () => null : isNotEmpty(text("sso.secret.missing")),
    },
  });
  // Who may not see the roles keeps the one that was chosen.
  const chosen = provider?.default_role;
  const unseen = chosen && !roles.some(({ name }) => name === chosen);
  const offered = unseen ? [{ name: chosen, title: chosen }, ...roles] : roles;
  const submit = form.onSubmit(
    ({ client_secret, default_role, ...values }) =>
      set.mutate(
        {
          ...values,
          client_secret: client_secret || null,
          default_role: default_role || null,
        },
        {
          onSuccess: () => form.setFieldValue("client_secret", ""),
          onError: (problem) => form.setErrors(fieldErrors(problem)),
        },
      ),
    focusFirst(form),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md" maw={640}>
        {set.error ? <ProblemAlert problem={set.error} /> : null}
        <TextInput
          label={text("sso.issuer")}
          description={text("sso.issuer.help")}
          type="url"
          name="issuer"
          autoComplete="off"
          maxLength={LONGEST}
          required
          {...form.getInputProps("issuer")}
        />
        <TextInput
          label={text("sso.client")}
          name="client_id"
          autoComplete="off"
          maxLength={LONGEST}
          required
          {...form.getInputProps("client_id")}
        />
        <PasswordInput
          label={text("sso.secret")}
          description={provider ? text("sso.secret.keep") : null}
          name="client_secret"
          autoComplete="off"
          required={!provider}
          visibilityToggleButtonProps={{ "aria-label": text("session.password.show") }}
          {...form.getInputProps("client_secret")}
        />
        <NativeSelect
          label={text("sso.role")}
          description={text("sso.role.help")}
          data={[
            { value: MEMBERS_ONLY, label: text("sso.role.members") },
            ...offered.map(({ name, title }) => ({
              value: name,
              label: text("sso.role.join", { title }),
            })),
          ]}
          {...form.getInputProps("default_role")}
        />
        <Checkbox
          label={text("sso.required")}
          description={text("sso.required.help")}
          {...form.getInputProps("required", { type: "checkbox" })}
        />
        <Group gap="sm">
          <Button type="submit" loading={set.isPending}>
            {text("sso.save")}
          </Button>
          <Text size="sm" role="status">
            {set.isSuccess ? text("sso.saved") : null}
          </Text>
        </Group>
      </Stack>
    </form>
  );
}
