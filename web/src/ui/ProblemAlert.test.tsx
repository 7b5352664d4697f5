import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { problem } from "../test/fixtures";
import { show } from "../test/render";
import { ProblemAlert } from "./ProblemAlert";

it("says what happened, what was not harmed, what to do, and the request", () => {
  show(<ProblemAlert problem={problem} />);
  const alert = screen.getByRole("alert");
  expect(alert).toHaveTextContent(problem.title);
  expect(alert).toHaveTextContent("Not affected: Your data up to now.");
  expect(alert).toHaveTextContent("What to do: Reconnect.");
  expect(alert).toHaveTextContent("req_1");
});

it("does not interrupt when the problem was there before", () => {
  show(<ProblemAlert problem={problem} quiet />);
  expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  expect(screen.getByRole("group", { name: problem.title })).toBeInTheDocument();
});

it("shows something usable for whatever was thrown", () => {
  show(<ProblemAlert problem={new TypeError("x is undefined")} />);
  expect(screen.getByRole("alert")).toHaveTextContent("unexpected");
  expect(screen.getByRole("alert")).not.toHaveTextContent("undefined");
});

it("offers a retry only where there is one", async () => {
  const retry = vi.fn();
  show(<ProblemAlert problem={problem} onRetry={retry} />);
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(retry).toHaveBeenCalledOnce();
});
