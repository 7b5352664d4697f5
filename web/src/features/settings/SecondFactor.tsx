import { Alert, Badge, Button, Group, Modal, Paper, Stack, Text, Title } from "@mantine/core";
import { TriangleAlert } from "lucide-react";
import { useRef, useState } from "react";
import { useSecondFactor } from "../../api/queries";
import { ProblemAlert } from "../../ui/ProblemAlert";
import { Loading } from "../../ui/states";
import { useText } from "../../ui/text";
import { RemoveSecondFactor } from "./RemoveSecondFactor";
import { SetUpSecondFactor } from "./SetUpSecondFactor";

/** With fewer recovery codes than this, new ones are due. */
const FEW = 3;

/** Whether a code is asked for besides the password, and how that is turned on and off. */
export function SecondFactor() {
  const text = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  const query = useSecondFactor();
  const [dialog, setDialog] = useState<"set-up" | "remove" | null>(null);
  // The button that opened the dialog is gone when the second factor was turned on or off.
  const done = () => {
    setDialog(null);
    setTimeout(() => heading.current?.focus());
  };
  const close = () => setDialog(null);
  const on = query.data?.on;
  const left = query.data?.recovery_codes_left ?? 0;
  return (
    <Paper withBorder p="lg" component="section" aria-labelledby="second-factor">
      <Stack gap="md">
        <Stack gap={6}>
          <Group gap="sm">
            <Title order={2} id="second-factor" ref={heading} tabIndex={-1} className="page-title">
              {text("second-factor.title")}
            </Title>
            {query.data ? (
              <Badge color={on ? "green" : "gray"} variant={on ? "light" : "default"}>
                {text(on ? "second-factor.on" : "second-factor.off")}
              </Badge>
            ) : null}
          </Group>
          <Text size="sm">{text("second-factor.lead")}</Text>
        </Stack>
        {query.error ? (
          <ProblemAlert problem={query.error} onRetry={() => void query.refetch()} />
        ) : null}
        {query.isPending ? <Loading rows={1} /> : null}
        {on && left < FEW ? (
          <Alert
            role="group"
            aria-label={text("second-factor.few", { count: left })}
            color="yellow"
            variant="light"
            icon={<TriangleAlert aria-hidden size={18} />}
            title={text("second-factor.few", { count: left })}
          >
            <Text size="sm">{text("second-factor.few.help")}</Text>
          </Alert>
        ) : null}
        {on ? (
          <Group gap="md">
            <Button variant="default" onClick={() => setDialog("remove")}>
              {text("second-factor.remove")}
            </Button>
            {left >= FEW ? (
              <Text size="sm">{text("second-factor.left", { count: left })}</Text>
            ) : null}
          </Group>
        ) : null}
        {on === false ? (
          <Group>
            <Button variant="default" onClick={() => setDialog("set-up")}>
              {text("second-factor.set-up")}
            </Button>
          </Group>
        ) : null}
      </Stack>
      <SetUpSecondFactor opened={dialog === "set-up"} onClose={close} onDone={done} />
      <Modal
        opened={dialog === "remove"}
        onClose={close}
        title={text("second-factor.remove.title")}
        closeButtonProps={{ "aria-label": text("dialog.close") }}
      >
        <RemoveSecondFactor onClose={close} onDone={done} />
      </Modal>
    </Paper>
  );
}
