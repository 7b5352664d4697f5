import { Text } from "@mantine/core";
import { ratio } from "../format/format";
import { useText } from "./text";

/** Delivered against expected: full at twice the expectation, with a tick where it should be. */
export function PaceBar({ index }: { index: string | null | undefined }) {
  const text = useText();
  if (index == null) {
    return (
      <Text size="sm" c="dimmed">
        {text("figure.none")}
      </Text>
    );
  }
  const width = Math.min(100, Math.max(0, Number(index) * 50));
  return (
    <span className="pace-bar-cell">
      <svg className="pace-bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden>
        <rect className="pace-bar-track" width="100" height="10" rx="2" />
        <rect className="pace-bar-fill" width={width} height="10" rx="2" />
        <rect className="pace-bar-tick" x="49" width="2" height="10" />
      </svg>
      <span className="figures">{ratio(index)}</span>
    </span>
  );
}
