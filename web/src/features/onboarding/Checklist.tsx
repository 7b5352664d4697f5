import { Group, Progress, Text, VisuallyHidden } from "@mantine/core";
import { Circle, CircleCheck, CircleX, LoaderCircle, type LucideIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { OnboardingStep } from "../../api/types";
import { count, duration } from "../../format/format";
import { useText } from "../../ui/text";

const ICONS: Readonly<Record<string, LucideIcon>> = {
  waiting: Circle,
  running: LoaderCircle,
  done: CircleCheck,
  failed: CircleX,
};

/** The server's own steps as they happen. The whole list is shown; only its summary is announced. */
export function Checklist({ steps }: { steps: readonly OnboardingStep[] }) {
  const text = useText();
  const running = steps.find((step) => step.state === "running");
  const summary = text("checklist.summary", {
    done: steps.filter((step) => step.state === "done").length,
    total: steps.length,
    now: running?.title ?? "",
    running: running ? "yes" : "no",
  });
  return (
    <>
      <Announcement text={summary} />
      <ul className="checklist" aria-label={text("checklist.label")}>
        {steps.map((step) => (
          <ChecklistItem key={step.key} step={step} />
        ))}
      </ul>
    </>
  );
}

function ChecklistItem({ step }: { step: OnboardingStep }) {
  const text = useText();
  const Icon = ICONS[step.state] ?? Circle;
  const measured = step.done != null && step.total != null && step.total > 0;
  return (
    <li className="checklist-item" data-state={step.state}>
      <Icon aria-hidden size={18} className="checklist-icon" />
      <div>
        <Group justify="space-between" wrap="nowrap" gap="md">
          <Text size="md" fw={step.state === "running" ? 600 : 400}>
            {step.title}
            <VisuallyHidden> ({text(`checklist.${step.state}`)})</VisuallyHidden>
          </Text>
          <Text size="xs" c="dimmed" className="figures">
            {measured && step.state === "running"
              ? text("checklist.of", { done: count(step.done!), total: count(step.total!) })
              : null}
            {step.state === "done" && step.seconds != null ? duration(step.seconds) : null}
          </Text>
        </Group>
        {step.detail ? (
          <Text size="sm" c="dimmed">
            {step.detail}
          </Text>
        ) : null}
        {measured && step.state === "running" ? (
          <Progress
            value={(100 * step.done!) / step.total!}
            size="sm"
            mt={6}
            aria-label={step.title}
          />
        ) : null}
      </div>
    </li>
  );
}

const ANNOUNCE_EVERY_MS = 5_000;

/** A polite live region that speaks at most every five seconds, and always says the last thing. */
export function Announcement({ text }: { text: string }) {
  const [spoken, speak] = useState(text);
  const last = useRef(0);
  useEffect(() => {
    const wait = Math.max(0, last.current + ANNOUNCE_EVERY_MS - Date.now());
    const timer = setTimeout(() => {
      last.current = Date.now();
      speak(text);
    }, wait);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <VisuallyHidden role="status" aria-live="polite">
      {spoken}
    </VisuallyHidden>
  );
}
