import { Group, Text } from "@mantine/core";
import { fromNow, moment } from "../format/format";
import { Mark } from "./Mark";
import { useText } from "./text";

interface Props {
  state: string;
  asOf: string | null | undefined;
  zone: string;
}

/** How old the figures are: in a word, and as a moment in a named zone. */
export function Freshness({ state, asOf, zone }: Props) {
  const text = useText();
  return (
    <Group gap={8} wrap="nowrap">
      <Mark kind="freshness" state={state} />
      <Text size="sm" c="dimmed">
        {asOf
          ? text("freshness.as-of", { moment: moment(asOf, zone), ago: fromNow(asOf) })
          : text("freshness.never")}
      </Text>
    </Group>
  );
}
