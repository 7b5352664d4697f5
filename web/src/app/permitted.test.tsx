import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { screen, within } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { createQueryClient } from "../api/queries";
import type { Connection } from "../api/types";
import { accountWith, meWith, onboardingWith } from "../test/fixtures";
import { show } from "../test/render";
import { createAppRouter } from "./router";

const connection: Connection = {
  id: "con_1",
  platform: "dv360",
  title: "Display & Video 360",
  status: "needs_reauth",
  who_acts: "you",
  connected_by: { name: "Ana" },
  connected_at: "2026-11-21T12:00:00Z",
  scopes: [],
  accounts: [accountWith({ selected: true })],
};
const LOOK = ["delivery.read", "runs.read", "connections.read", "rules.read", "proposals.read"];

/** Opens an address as somebody with these permissions; what was asked of the API is kept. */
function open(address: string, me = meWith({ permissions: LOOK })) {
  const asked: string[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const path = new URL((input as Request).url).pathname.replace("/api/v1", "");
    asked.push(path);
    if (path === "/me") return new Response(JSON.stringify(me));
    if (path === "/onboarding") return new Response(JSON.stringify(me.onboarding));
    return new Response(JSON.stringify({ items: path === "/connections" ? [connection] : [] }));
  });
  const queries = createQueryClient();
  const history = createMemoryHistory({ initialEntries: [address] });
  show(
    <QueryClientProvider client={queries}>
      <RouterProvider router={createAppRouter(queries, history)} />
    </QueryClientProvider>,
  );
  return asked;
}

const places = async () => {
  const navigation = await screen.findByRole("navigation", { name: "Main" });
  return within(navigation)
    .getAllByRole("link")
    .map((link) => link.textContent);
};

it("the navigation leads where one may go", async () => {
  open("/settings");
  expect(await places()).toEqual(["Overview", "Approvals", "Connections", "Runs", "Settings"]);
});

it("the navigation leads an admin everywhere", async () => {
  open("/settings", meWith());
  expect(await places()).toEqual(
    expect.arrayContaining(["Approvals", "Members", "Audit trail", "Settings"]),
  );
});

it("the audit trail is not asked for by who may not see it", async () => {
  const asked = open("/audit");
  expect(await screen.findByText("Your role does not allow this")).toBeVisible();
  expect(asked).not.toContain("/audit");
});

it("a refresh is not offered to who may not ask for one", async () => {
  open("/runs");
  expect(await screen.findByText(/does not let you ask for a refresh/)).toBeVisible();
  expect(screen.queryByRole("button", { name: "Refresh now" })).not.toBeInTheDocument();
});

it("a connection is not changed by who may only see it, and it is no turn of theirs", async () => {
  open("/connections");
  const card = await screen.findByRole("article");
  expect(card).toHaveTextContent("A colleague’s turn");
  expect(card).toHaveTextContent("Your role does not let you reconnect");
  expect(within(card).queryByRole("button")).not.toBeInTheDocument();
});

it("the setup waits for a colleague who may connect a platform", async () => {
  open("/onboarding", meWith({ permissions: LOOK, onboarding: onboardingWith() }));
  expect(await screen.findByText("Your agency is not set up yet")).toBeVisible();
  expect(screen.queryByRole("button", { name: /Connect/ })).not.toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Cancel the setup" })).not.toBeInTheDocument();
});
