import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { Member, Role } from "../../api/types";
import { meWith, problem } from "../../test/fixtures";
import { show } from "../../test/render";
import { MembersPage } from "./MembersPage";

const joined_at = "2026-11-21T12:00:00Z";
const member = (id: string, name: string, role: string, active = true): Member => ({
  id,
  name,
  email: `${name.toLowerCase()}@agency.example`,
  role,
  joined_at,
  active,
  is_you: id === "usr_1",
});
const role = (name: string, title: string, built_in: boolean, permissions: string[]): Role => ({
  name,
  title,
  built_in,
  permissions,
  members: 0,
});

const lastAdmin = { ...problem, status: 409, code: "members.last_admin", title: "The last admin." };

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

/** An organisation that changes as it is told to; what was sent is kept. `refusal` is the answer to every change. */
function serve(refusal?: typeof lastAdmin) {
  const members = [
    member("usr_3", "Cem", "intern", false),
    member("usr_1", "Ana", "admin"),
    member("usr_2", "Ben", "viewer"),
  ];
  let roles = [
    role("admin", "Admin", true, ["members.manage"]),
    role("guest", "Guest", false, []),
    role("intern", "Intern", false, ["delivery.read", "moon.fly"]),
    role("viewer", "Viewer", true, ["delivery.read", "runs.read"]),
  ];
  const sent: { method: string; path: string; body: unknown }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const request = input as Request;
    const path = new URL(request.url).pathname.replace("/api/v1", "");
    if (path === "/me") return json(meWith());
    if (path === "/invitations") return json({ items: [] });
    if (request.method === "GET") return json({ items: path === "/roles" ? roles : members });
    const body = request.method === "DELETE" ? null : await request.json();
    sent.push({ method: request.method, path, body });
    if (refusal) return json(refusal, refusal.status);
    const [, noun, id] = path.split("/");
    if (request.method === "DELETE") {
      roles = roles.filter(({ name }) => name !== id);
      return new Response(null, { status: 204 });
    }
    if (noun === "roles") return json({ ...role(id ?? "new", "", false, []), ...body });
    const changed = members.find((one) => one.id === id)!;
    return json(Object.assign(changed, body));
  });
  return sent;
}

const rowOf = async (name: string) => (await screen.findByText(name)).closest("tr")!;

async function choose(name: string, title: string) {
  await userEvent.click(await screen.findByRole("combobox", { name: `Role of ${name}` }));
  await userEvent.click(await screen.findByRole("option", { name: title }));
}

async function deactivate(name: string) {
  await userEvent.click(await screen.findByRole("button", { name: `Deactivate ${name}…` }));
  return screen.findByRole("dialog", { name: `Deactivate ${name}?` });
}

describe("a member's role", () => {
  it("is sent when it is chosen, and said to be saved", async () => {
    const sent = serve();
    show(<MembersPage />);
    await choose("Ben", "Intern");
    const ben = await rowOf("Ben");
    await waitFor(() => expect(within(ben).getByRole("status")).toHaveTextContent("Saved"));
    expect(screen.getByRole("combobox", { name: "Role of Ben" })).toHaveValue("Intern");
    expect(sent).toEqual([{ method: "PATCH", path: "/members/usr_2", body: { role: "intern" } }]);
  });

  it("stays the last admin's, and the row says why", async () => {
    serve(lastAdmin);
    show(<MembersPage />);
    await choose("Ana", "Viewer");
    expect(await screen.findByRole("alert")).toHaveTextContent("The last admin.");
    expect(screen.getByRole("combobox", { name: "Role of Ana" })).toHaveValue("Admin");
  });
});

describe("deactivating a member", () => {
  it("asks first, and gives the focus back", async () => {
    const sent = serve();
    show(<MembersPage />);
    const dialog = await deactivate("Ben");
    expect(dialog).toHaveTextContent("their sessions here end at once");
    expect(dialog).not.toHaveTextContent("This is you");
    await userEvent.click(within(dialog).getByRole("button", { name: "Back" }));
    await waitFor(() =>
      expect(screen.getByRole("button", { name: "Deactivate Ben…" })).toHaveFocus(),
    );
    expect(sent).toEqual([]);
  });

  it("can be undone in the row", async () => {
    const sent = serve();
    show(<MembersPage />);
    const dialog = await deactivate("Ben");
    await userEvent.click(within(dialog).getByRole("button", { name: "Deactivate" }));
    await userEvent.click(await screen.findByRole("button", { name: "Let in again: Ben" }));
    expect(await screen.findByRole("button", { name: "Deactivate Ben…" })).toBeEnabled();
    expect(sent.map(({ body }) => body)).toEqual([{ active: false }, { active: true }]);
  });

  it("says in the dialog why the last admin stays", async () => {
    serve(lastAdmin);
    show(<MembersPage />);
    const dialog = await deactivate("Ana");
    expect(dialog).toHaveTextContent("This is you");
    await userEvent.click(within(dialog).getByRole("button", { name: "Deactivate" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("The last admin.");
  });
});

describe("the list of members", () => {
  it("has those who were deactivated at its end", async () => {
    serve();
    show(<MembersPage />);
    const table = await screen.findByRole("table", { name: "Members" });
    const names = within(table)
      .getAllByRole("rowheader")
      .map((cell) => cell.textContent);
    expect(names.map((name) => name.slice(0, 3))).toEqual(["Ana", "Ben", "Cem"]);
  });

  it("offers no change to who may only look", async () => {
    serve();
    show(<MembersPage />, meWith({ permissions: ["members.read"] }));
    expect(await rowOf("Ben")).toHaveTextContent("Viewer");
    expect(screen.getByText(/Your role lets you look/)).toBeVisible();
    expect(screen.queryByRole("combobox")).not.toBeInTheDocument();
    expect(screen.queryByRole("button")).not.toBeInTheDocument();
  });

  it("is not asked for by who may not see it", () => {
    serve();
    show(<MembersPage />, meWith({ permissions: [] }));
    expect(screen.getByText("Your role does not allow this")).toBeVisible();
    expect(globalThis.fetch).not.toHaveBeenCalled();
  });
});

describe("a role", () => {
  it("is changed by its checkboxes, and keeps what the web app does not know", async () => {
    const sent = serve();
    show(<MembersPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Edit Intern…" }));
    const dialog = await screen.findByRole("dialog", { name: "Edit Intern" });
    const box = (name: string) => within(dialog).getByRole("checkbox", { name });
    expect(box("See delivery")).toBeChecked();
    await userEvent.click(box("See delivery"));
    await userEvent.click(box("Approve and reject"));
    await userEvent.click(within(dialog).getByRole("button", { name: "Save the role" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(sent).toEqual([
      {
        method: "PUT",
        path: "/roles/intern",
        body: { title: "Intern", permissions: ["moon.fly", "proposals.decide"] },
      },
    ]);
  });

  it("is made with a title", async () => {
    const sent = serve();
    show(<MembersPage />);
    await userEvent.click(await screen.findByRole("button", { name: "New role…" }));
    await userEvent.click(await screen.findByRole("button", { name: "Create the role" }));
    expect(screen.getByText("Enter a title")).toBeVisible();
    expect(screen.getByLabelText(/Title/)).toHaveFocus();
    await userEvent.type(screen.getByLabelText(/Title/), "Auditor");
    await userEvent.click(screen.getByRole("checkbox", { name: "See the audit trail" }));
    await userEvent.click(screen.getByRole("button", { name: "Create the role" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(sent.map(({ body }) => body)).toEqual([
      { title: "Auditor", permissions: ["audit.read"] },
    ]);
  });

  it("can't be deleted when it is built in or somebody has it, and says so", async () => {
    serve();
    show(<MembersPage />);
    const kept = await screen.findByRole("button", { name: "Delete Intern…" });
    expect(kept).toBeDisabled();
    expect(kept).toHaveAccessibleDescription(/somebody has it, deactivated or not/);
    expect(screen.getByRole("button", { name: "Delete Viewer…" })).toHaveAccessibleDescription(
      /built in/,
    );
    expect(screen.queryByRole("button", { name: "Edit Admin…" })).not.toBeInTheDocument();
  });

  it("is deleted after a question, and the focus stays in the list", async () => {
    const sent = serve();
    show(<MembersPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Delete Guest…" }));
    await userEvent.click(await screen.findByRole("button", { name: "Delete the role" }));
    await waitFor(() => expect(screen.getByRole("heading", { name: "Roles" })).toHaveFocus());
    expect(screen.queryByText("Guest")).not.toBeInTheDocument();
    expect(sent).toEqual([{ method: "DELETE", path: "/roles/guest", body: null }]);
  });
});
