import { Alert, Button, Code, Group, List, Stack, Text } from "@mantine/core";
import { OctagonAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { asProblem } from "../api/problem";
import { useText } from "./text";

interface Props {
  /** A problem, or whatever was thrown. */
  problem: unknown;
  onRetry?: (() => void) | undefined;
  retrying?: boolean;
  /** Other ways out, beside the retry. */
  actions?: ReactNode;
  /** `quiet` for problems that were there before the person did anything: they do not interrupt. */
  quiet?: boolean;
}

/** What happened, what was not harmed, what to do next, and the id to quote when asking for help. */
export function ProblemAlert({ problem: thrown, onRetry, retrying, actions, quiet }: Props) {
  const text = useText();
  const problem = asProblem(thrown);
  const color = problem.retryable ? "yellow" : "red";
  const Icon = problem.retryable ? TriangleAlert : OctagonAlert;
  const fields = problem.errors ?? [];
  return (
    <Alert
      role={quiet ? "group" : "alert"}
      aria-label={quiet ? problem.title : undefined}
      color={color}
      variant="light"
      className="problem"
      data-retryable={problem.retryable || undefined}
      icon={<Icon aria-hidden size={18} />}
      title={problem.title}
    >
      <Stack gap={6}>
        {problem.detail ? <Text size="sm">{problem.detail}</Text> : null}
        {fields.length > 0 ? (
          <List size="sm">
            {fields.map((field) => (
              <List.Item key={`${field.pointer}${field.message}`}>{field.message}</List.Item>
            ))}
          </List>
        ) : null}
        {problem.unharmed ? (
          <Text size="sm">
            <b>{text("problem.unharmed")}</b> {problem.unharmed}
          </Text>
        ) : null}
        {problem.next ? (
          <Text size="sm">
            <b>{text("problem.next")}</b> {problem.next}
          </Text>
        ) : null}
        {onRetry || actions ? (
          <Group gap="xs" mt={4}>
            {onRetry ? (
              <Button size="xs" variant="default" onClick={onRetry} loading={retrying ?? false}>
                {text("problem.retry")}
              </Button>
            ) : null}
            {actions}
          </Group>
        ) : null}
        {problem.request_id ? (
          <Text size="xs">
            {text("problem.request")} <Code>{problem.request_id}</Code>
          </Text>
        ) : null}
      </Stack>
    </Alert>
  );
}
