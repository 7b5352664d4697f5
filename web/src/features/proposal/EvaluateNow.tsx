import { Button, Group, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { ScanSearch } from "lucide-react";
import { useEffect, useState } from "react";
import { useEvaluate, useEvaluation, useMay } from "../../api/queries";
import { asProblem } from "../../api/problem";
import { notJudgedWord } from "../../ui/notJudged";
import { useText } from "../../ui/text";

/** Lets a person ask for the judgement that otherwise follows each refresh. */
export function EvaluateNow() {
  const text = useText();
  const may = useMay();
  const queries = useQueryClient();
  const [id, setId] = useState<string | null>(null);
  const evaluate = useEvaluate();
  const evaluation = useEvaluation(id).data;
  const state = evaluation?.state;
  useEffect(() => {
    if (state === "done")
      void queries.invalidateQueries({ queryKey: ["get", "/api/v1/proposals"] });
  }, [state, queries]);
  if (!may("rules.evaluate"))
    return (
      <Text size="sm" c="dimmed">
        {text("evaluate.may-not")}
      </Text>
    );
  const running = evaluate.isPending || (id !== null && (state ?? "running") === "running");
  return (
    <Group gap="sm">
      <Text size="sm" c="dimmed" role="status">
        {outcome()}
      </Text>
      <Button
        variant="default"
        size="sm"
        leftSection={<ScanSearch aria-hidden size={15} />}
        loading={running}
        onClick={() => evaluate.mutate(undefined, { onSuccess: (started) => setId(started.id) })}
      >
        {text("evaluate.button")}
      </Button>
    </Group>
  );

  function outcome(): string {
    if (evaluate.error) return asProblem(evaluate.error).title;
    if (running) return text("evaluate.running");
    if (!evaluation) return "";
    if (evaluation.problem) return evaluation.problem.title;
    const done = text("evaluate.done", {
      lines: evaluation.lines_judged,
      proposals: evaluation.proposals_made,
    });
    const lines = evaluation.not_judged.reduce((sum, one) => sum + one.lines, 0);
    if (lines === 0) return done;
    const reasons = evaluation.not_judged.map((one) =>
      text("evaluate.reason", { lines: one.lines, reason: notJudgedWord(text, one.reason) }),
    );
    return `${done} ${text("evaluate.not-judged", { lines, reasons: reasons.join(", ") })}`;
  }
}
