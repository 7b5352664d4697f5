import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import type { Evaluation } from "../../api/types";
import { meWith } from "../../test/fixtures";
import { show } from "../../test/render";
import { EvaluateNow } from "./EvaluateNow";

const evaluation: Evaluation = {
  id: "dec_1",
  state: "done",
  started_at: "2026-11-21T12:00:00Z",
  finished_at: "2026-11-21T12:00:01Z",
  lines_judged: 25,
  proposals_made: 0,
  not_judged: [
    { reason: "history_missing", lines: 12 },
    { reason: "no_own_budget", lines: 5 },
  ],
  problem: null,
};

it("says how many lines were not judged, and why", async () => {
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const { method } = input as Request;
    const answer = method === "POST" ? { id: "dec_1" } : evaluation;
    return new Response(JSON.stringify(answer), { status: method === "POST" ? 202 : 200 });
  });
  show(<EvaluateNow />);
  await userEvent.click(screen.getByRole("button", { name: "Check pacing now" }));
  expect(await screen.findByText(/25 lines checked/)).toHaveTextContent(
    "17 lines were not judged (12 history on its way, 5 no budget of its own).",
  );
});

it("is not offered to who may not ask", () => {
  show(<EvaluateNow />, meWith({ permissions: ["rules.read"] }));
  expect(screen.getByText(/does not let you ask for a check/)).toBeVisible();
  expect(screen.queryByRole("button")).not.toBeInTheDocument();
});
