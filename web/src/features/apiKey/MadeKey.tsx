import { Button, Code, Group, Stack, Text } from "@mantine/core";
import { CopyField } from "../../ui/CopyField";
import { useText } from "../../ui/text";

/** The secret of a key that was just made, and a line to try it with. */
export function MadeKey({ secret, onClose }: { secret: string; onClose: () => void }) {
  const text = useText();
  // The key itself stays out of the line: what is typed into a shell is kept in its history.
  const example = `curl -H "Authorization: Bearer $CLP_API_KEY" ${window.location.origin}/api/v1/me`;
  return (
    <Stack gap="md">
      <Text size="sm" fw={600}>
        {text("api-key.once")}
      </Text>
      <CopyField label={text("api-key.secret")} value={secret} />
      <div>
        <Text size="sm" fw={600}>
          {text("api-key.example")}
        </Text>
        <Text size="sm" c="dimmed" mb={4}>
          {text("api-key.example.help")}
        </Text>
        <Code block tabIndex={0}>
          {example}
        </Code>
      </div>
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          {text("dialog.done")}
        </Button>
      </Group>
    </Stack>
  );
}
