import { Alert, Loader, Text } from "@mantine/core";
import { CircleCheck } from "lucide-react";
import type { Connection } from "../../api/types";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { useText } from "../../ui/text";

interface Props {
  connection: Connection;
  /** The person has just come back from the platform's consent page, and wants to know what came of it. */
  returned: boolean;
}

/** What came of the newest attempt to reconnect, for as long as that matters. */
export function Reconnection({ connection, returned }: Props) {
  const text = useText();
  const attempt = connection.reconnection;
  if (attempt?.state === "checking")
    return (
      <Alert
        role="status"
        variant="light"
        icon={<Loader size={16} aria-hidden />}
        title={text("reconnection.checking")}
      >
        <Text size="sm">{text("reconnection.checking.help")}</Text>
      </Alert>
    );
  if (attempt?.state === "done" && returned)
    return (
      <Alert
        role="status"
        color="green"
        variant="light"
        icon={<CircleCheck aria-hidden size={18} />}
        title={text("reconnection.done")}
      >
        <Text size="sm">{text("reconnection.done.help")}</Text>
      </Alert>
    );
  const matters = returned || connection.who_acts === "you";
  if (attempt?.problem && matters)
    return <ProblemAlert problem={attempt.problem} quiet={!returned} />;
  return null;
}
