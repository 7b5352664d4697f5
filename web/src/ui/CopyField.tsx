import { Button, Group, Text, TextInput } from "@mantine/core";
import { useText } from "./text";
import { useCopy } from "./useCopy";

interface Props {
  label: string;
  value: string;
  description?: string;
}

/** A text to be passed on, such as a secret, with a button that copies it. Where the browser forbids that, it is selected. */
export function CopyField({ label, value, description }: Props) {
  const text = useText();
  const { copy, outcome } = useCopy(value);
  return (
    <div>
      <Group align="flex-end" gap="xs" wrap="nowrap">
        <TextInput
          label={label}
          description={description}
          value={value}
          readOnly
          flex={1}
          classNames={{ input: "secret" }}
          onFocus={(event) => event.currentTarget.select()}
        />
        <Button
          variant="default"
          onClick={copy}
          aria-label={text("copy.label", { label })}
          data-autofocus
        >
          {text("copy.button")}
        </Button>
      </Group>
      <Text size="sm" role="status" mih={22} mt={4}>
        {outcome}
      </Text>
    </div>
  );
}
