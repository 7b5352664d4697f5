import { Button, Group, Select, Stack, TextInput } from "@mantine/core";
import { isEmail, useForm } from "@mantine/form";
import { fieldErrors } from "../../api/problem";
import { useInvite } from "../../api/queries";
import type { NewInvitation, Role } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

/** The role that may do least of those that every organisation begins with. */
const LEAST = "viewer";

interface Props {
  roles: readonly Role[];
  onClose: () => void;
  onInvited: (made: NewInvitation) => void;
}

export function InviteForm({ roles, onClose, onInvited }: Props) {
  const text = useText();
  const invite = useInvite();
  const least = roles.some(({ name }) => name === LEAST) ? LEAST : (roles.at(-1)?.name ?? "");
  const form = useForm({
    initialValues: { email: "", role: least },
    validate: { email: isEmail(text("session.email.wrong")) },
  });
  const submit = form.onSubmit((values) =>
    invite.mutate(values, {
      onSuccess: onInvited,
      onError: (problem) => form.setErrors(fieldErrors(problem)),
    }),
  );
  return (
    <form noValidate onSubmit={submit}>
      <Stack gap="md">
        {invite.error ? <ProblemAlert problem={invite.error} /> : null}
        <TextInput
          label={text("session.email")}
          type="email"
          name="email"
          autoComplete="off"
          required
          data-autofocus
          {...form.getInputProps("email")}
        />
        <Select
          label={text("invite.role")}
          description={text("invite.role.help")}
          allowDeselect={false}
          data={roles.map((role) => ({ value: role.name, label: role.title }))}
          {...form.getInputProps("role")}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" loading={invite.isPending}>
            {text("invite.button")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
