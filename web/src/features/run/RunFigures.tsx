import { Group, Text } from "@mantine/core";
import type { RunDetail } from "../../api/types";
import { useText } from "../../ui/text";

/** How many rows came in at each layer. */
export function RunFigures({ rows }: { rows: RunDetail["rows"] }) {
  const text = useText();
  return (
    <Group gap="lg" mt={6}>
      {(["bronze", "silver", "gold"] as const).map((layer) => (
        <Text key={layer} size="sm" c="dimmed" className="figures">
          {text(`run.rows.${layer}`, { rows: rows[layer] })}
        </Text>
      ))}
    </Group>
  );
}
