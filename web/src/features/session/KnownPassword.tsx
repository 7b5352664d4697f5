import { PasswordInput } from "@mantine/core";
import type { GetInputPropsReturnType } from "@mantine/form";
import { useText } from "../../ui/text";

export interface PasswordProps {
  label: string;
  /** What `getInputProps` of the form gives. */
  input: GetInputPropsReturnType;
}

/** A password that the person has already. */
export function KnownPassword({ label, input }: PasswordProps) {
  const text = useText();
  return (
    <PasswordInput
      label={label}
      name="password"
      autoComplete="current-password"
      required
      visibilityToggleButtonProps={{ "aria-label": text("session.password.show") }}
      aria-invalid={input.error ? true : undefined}
      {...input}
    />
  );
}
