import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import type { Connection } from "../../api/types";
import { accountWith } from "../../test/fixtures";
import { show } from "../../test/render";
import { ChangeAccounts } from "./ChangeAccounts";

const connection: Connection = {
  id: "con_1",
  platform: "dv360",
  title: "Display & Video 360",
  status: "healthy",
  connected_by: { name: "Ana" },
  connected_at: "2026-11-21T12:00:00Z",
  scopes: [],
  accounts: [
    accountWith({ id: "acc_1", name: "Nordwind", selected: true }),
    accountWith({ id: "acc_2", name: "Kestrel", selected: false }),
  ],
};

it("the advertisers that are read begin as they are, and the whole choice is sent", async () => {
  const fetch = vi
    .spyOn(globalThis, "fetch")
    .mockResolvedValue(
      new Response(JSON.stringify(connection), { headers: { "Content-Type": "application/json" } }),
    );
  show(<ChangeAccounts connection={connection} />);
  await userEvent.click(screen.getByRole("button", { name: "Change advertisers…" }));
  expect(await screen.findByRole("checkbox", { name: "Nordwind" })).toBeChecked();
  await userEvent.click(screen.getByRole("checkbox", { name: "Nordwind" }));
  await userEvent.click(screen.getByRole("checkbox", { name: "Kestrel" }));
  await userEvent.click(screen.getByRole("button", { name: "Save the choice" }));
  const request = fetch.mock.calls[0]?.[0] as Request;
  expect(request.url).toContain("/api/v1/connections/con_1/accounts");
  expect(await request.clone().json()).toEqual({ account_ids: ["acc_2"] });
});

it("gives the focus back when the dialog is closed, and forgets what was not saved", async () => {
  show(<ChangeAccounts connection={connection} />);
  const button = screen.getByRole("button", { name: "Change advertisers…" });
  await userEvent.click(button);
  await userEvent.click(await screen.findByRole("checkbox", { name: "Nordwind" }));
  await userEvent.click(screen.getByRole("button", { name: "Back" }));
  await waitFor(() => expect(button).toHaveFocus());
  await userEvent.click(button);
  expect(await screen.findByRole("checkbox", { name: "Nordwind" })).toBeChecked();
});
