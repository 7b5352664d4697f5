import { Button, Checkbox, Fieldset, Group, Stack, TextInput } from "@mantine/core";
import { useRef, useState, type FormEvent } from "react";
import { PERMISSIONS, type Permission } from "../../api/permissions";
import { fieldErrors } from "../../api/problem";
import { useCreateRole, useUpdateRole } from "../../api/queries";
import type { Role } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

const MAX_TITLE = 100;

type Noun<Of extends Permission = Permission> = Of extends `${infer N}.${string}` ? N : never;

const nounOf = (permission: Permission) => permission.split(".")[0] as Noun;

const NOUNS = [...new Set(PERMISSIONS.map(nounOf))];

/** What a role is called and allows; without one, a new one. */
export function RoleForm({ role, onClose }: { role?: Role; onClose: () => void }) {
  const text = useText();
  const titleInput = useRef<HTMLInputElement>(null);
  const [title, setTitle] = useState(role?.title ?? "");
  const [missing, setMissing] = useState(false);
  // A permission that this version of the web app does not know stays with its role.
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(role?.permissions));
  const create = useCreateRole();
  const update = useUpdateRole();
  const { error, isPending } = role ? update : create;
  const set = (permission: Permission, wanted: boolean) =>
    setChosen((before) => {
      const after = new Set(before);
      if (wanted) after.add(permission);
      else after.delete(permission);
      return after;
    });
  const send = (event: FormEvent) => {
    event.preventDefault();
    const input = { title: title.trim(), permissions: [...chosen] as Permission[] };
    if (input.title === "") {
      setMissing(true);
      titleInput.current?.focus();
    } else if (role) update.mutate({ name: role.name, ...input }, { onSuccess: onClose });
    else create.mutate(input, { onSuccess: onClose });
  };
  const empty = missing && title.trim() === "";
  return (
    <form onSubmit={send} noValidate>
      <Stack gap="md">
        <TextInput
          ref={titleInput}
          label={text("role.title")}
          required
          maxLength={MAX_TITLE}
          value={title}
          error={empty ? text("role.title.missing") : error ? fieldErrors(error).title : null}
          onChange={(event) => setTitle(event.currentTarget.value)}
          data-autofocus
        />
        {NOUNS.map((noun) => (
          <Fieldset key={noun} legend={text(`permission-group.${noun}`)}>
            <Stack gap="sm">
              {PERMISSIONS.filter((permission) => nounOf(permission) === noun).map((permission) => (
                <Checkbox
                  key={permission}
                  label={text(`permission.${permission}`)}
                  description={text(`permission.${permission}.help`)}
                  checked={chosen.has(permission)}
                  onChange={(event) => set(permission, event.currentTarget.checked)}
                />
              ))}
            </Stack>
          </Fieldset>
        ))}
        {error ? <ProblemAlert problem={error} /> : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {text("dialog.back")}
          </Button>
          <Button type="submit" loading={isPending}>
            {text(role ? "role.save" : "role.create")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
