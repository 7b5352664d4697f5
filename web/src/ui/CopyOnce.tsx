import { Button, Group, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useText } from "./text";

interface Props {
  label: string;
  value: string;
}

/** A secret that is shown this once, with a button that copies it. Where the browser forbids that, it is selected. */
export function CopyOnce({ label, value }: Props) {
  const text = useText();
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setOutcome("copied");
    } catch {
      setOutcome("failed");
    }
  };
  return (
    <div>
      <Group align="flex-end" gap="xs" wrap="nowrap">
        <TextInput
          label={label}
          value={value}
          readOnly
          flex={1}
          classNames={{ input: "secret" }}
          onFocus={(event) => event.currentTarget.select()}
        />
        <Button variant="default" onClick={() => void copy()} data-autofocus>
          {text("copy.button")}
        </Button>
      </Group>
      <Text size="sm" role="status" mih={22} mt={4}>
        {outcome ? text(`copy.${outcome}`) : null}
      </Text>
    </div>
  );
}
