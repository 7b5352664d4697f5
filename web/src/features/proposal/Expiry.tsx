import { Text } from "@mantine/core";
import { useEffect, useState } from "react";
import { serverNow } from "../../format/clock";
import { duration } from "../../format/format";
import { useText } from "../../ui/text";

const LAST_MINUTES_SECONDS = 120;

/** The time that is left to decide; every second counts only at the end. */
export function Expiry({ at }: { at: string }) {
  const text = useText();
  const [now, setNow] = useState(serverNow);
  const seconds = Math.round((new Date(at).getTime() - now) / 1_000);
  const pause = seconds > LAST_MINUTES_SECONDS ? 15_000 : 1_000;
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), pause);
    return () => clearInterval(timer);
  }, [pause]);
  if (seconds <= 0) return <b>{text("expiry.over")}</b>;
  const left = seconds > LAST_MINUTES_SECONDS ? seconds - (seconds % 60) : seconds;
  return (
    <Text component="span" inherit fw={seconds < 3_600 ? 700 : 400}>
      {text("expiry.left", { left: duration(left) })}
    </Text>
  );
}
