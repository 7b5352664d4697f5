import { Button, Stack, TextInput } from "@mantine/core";
import type { GetInputPropsReturnType } from "@mantine/form";
import { useState } from "react";
import { focusNow } from "../../ui/focusNow";
import { useText } from "../../ui/text";

/** The password was right, and a code of the second factor is asked for besides. */
export const CODE_NEEDED = "auth.code_needed";
export const WRONG_CODE = "auth.wrong_code";
export const WRONG_CREDENTIALS = "auth.wrong_credentials";

interface Props {
  /** What `getInputProps` of the form gives. */
  input: GetInputPropsReturnType;
}

/** A code of the second factor. A keyboard of digits has no letters for a recovery code, so that one is asked for apart. */
export function CodeField({ input }: Props) {
  const text = useText();
  const [recovery, setRecovery] = useState(false);
  return (
    <Stack gap={6} align="flex-start">
      <TextInput
        key={String(recovery)}
        ref={focusNow}
        w="100%"
        label={text(recovery ? "code.recovery.label" : "code.label")}
        description={text(recovery ? "code.recovery.help" : "code.help")}
        name="code"
        autoComplete={recovery ? "off" : "one-time-code"}
        inputMode={recovery ? "text" : "numeric"}
        autoCapitalize="none"
        spellCheck={false}
        required
        {...input}
      />
      <Button variant="subtle" size="compact-sm" onClick={() => setRecovery(!recovery)}>
        {text(recovery ? "code.authenticator" : "code.recovery")}
      </Button>
    </Stack>
  );
}
