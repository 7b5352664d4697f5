import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { meWith, problem } from "../../test/fixtures";
import { show } from "../../test/render";
import { SecurityPage } from "./SecurityPage";
import { SettingsPage } from "./SettingsPage";

const me = meWith();

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

const session = (id: string, day: number, current: boolean) => ({
  id,
  created_at: `2026-11-${day}T12:00:00Z`,
  expires_at: `2026-12-${day}T12:00:00Z`,
  current,
});

/** Answers as the server would; what was sent is kept. */
function serve(answer: () => Response) {
  const sent: { body: unknown; key: string | null }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const request = input as Request;
    if (request.method === "GET") return json(me);
    sent.push({ body: await request.json(), key: request.headers.get("Idempotency-Key") });
    return answer();
  });
  return sent;
}

async function freeze(reason: string) {
  await userEvent.click(await screen.findByRole("button", { name: "Freeze changes…" }));
  if (reason) await userEvent.type(await screen.findByLabelText(/Reason/), reason);
  await userEvent.click(await screen.findByRole("button", { name: "Freeze all changes" }));
}

describe("freezing all changes", () => {
  it("asks for a reason first", async () => {
    const sent = serve(() => json(me.organisation));
    show(<SettingsPage />);
    await freeze("");
    expect(await screen.findByText("Enter a reason")).toBeVisible();
    expect(sent).toEqual([]);
  });

  it("is shown as done when the server has answered", async () => {
    const sent = serve(() => json({ ...me.organisation, frozen: true }));
    show(<SettingsPage />);
    await freeze("Audit");
    expect(await screen.findByText("Frozen")).toBeVisible();
    expect(sent.map((request) => request.body)).toEqual([{ frozen: true, reason: "Audit" }]);
  });

  it("gives the focus back when its dialog is closed", async () => {
    const sent = serve(() => json(me.organisation));
    show(<SettingsPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Freeze changes…" }));
    await userEvent.type(await screen.findByLabelText(/Reason/), "Audit");
    await userEvent.keyboard("{Escape}");
    const button = screen.getByRole("button", { name: "Freeze changes…" });
    await waitFor(() => expect(button).toHaveFocus());
    await userEvent.click(button);
    expect(await screen.findByLabelText(/Reason/)).toHaveValue("");
    expect(sent).toEqual([]);
  });

  it("is not offered to who may not", async () => {
    serve(() => json(me.organisation));
    show(<SettingsPage />, meWith({ permissions: ["delivery.read"] }));
    expect(screen.getByText("Your role does not let you freeze changes.")).toBeVisible();
    expect(screen.queryByRole("button")).not.toBeInTheDocument();
  });

  it("sends the same key again while the first request is still at work", async () => {
    let busy = true;
    const sent = serve(() =>
      busy
        ? json(
            { ...problem, status: 409, code: "request.in_progress", title: "Still at work." },
            409,
          )
        : json({ ...me.organisation, frozen: true }),
    );
    show(<SettingsPage />);
    await freeze("Audit");
    expect(await screen.findByText("Still at work.")).toBeVisible();
    busy = false;
    await userEvent.click(screen.getByRole("button", { name: "Freeze all changes" }));
    expect(await screen.findByText("Frozen")).toBeVisible();
    expect(sent[0]?.key).not.toBeNull();
    expect(sent[1]?.key).toBe(sent[0]?.key);
  });
});

describe("where one is signed in", () => {
  /** Three sessions, of which those that were ended are not listed any more. */
  function serveSessions(refusal?: typeof problem) {
    let sessions = [
      session("ses_1", 21, true),
      session("ses_2", 20, false),
      session("ses_3", 19, false),
    ];
    const revoked: string[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
      const request = input as Request;
      if (request.method === "GET") return json({ items: sessions });
      if (refusal) return json(refusal, refusal.status);
      const { pathname } = new URL(request.url);
      revoked.push(`${request.method} ${pathname}`);
      sessions = sessions.filter(({ id }) => !pathname.endsWith(id));
      return new Response(null, { status: 204 });
    });
    return revoked;
  }

  const buttons = () => screen.findAllByRole("button", { name: /^Sign out the browser of/ });

  it("is listed for everybody, and this browser is told from the others", async () => {
    serveSessions();
    show(<SecurityPage />, meWith({ permissions: [] }));
    const table = await screen.findByRole("table", { name: "Where you are signed in" });
    const rows = within(table).getAllByRole("row").slice(1);
    expect(rows.map((row) => row.textContent?.includes("This browser"))).toEqual([
      true,
      false,
      false,
    ]);
    expect(await buttons()).toHaveLength(2);
    expect(screen.getByText(/Only sessions in this organisation are listed/)).toBeVisible();
  });

  it("another browser is signed out, and the focus stays in the section", async () => {
    const revoked = serveSessions();
    show(<SecurityPage />);
    await userEvent.click((await buttons())[0]!);
    await waitFor(() =>
      expect(screen.getByRole("heading", { name: "Where you are signed in" })).toHaveFocus(),
    );
    expect(await buttons()).toHaveLength(1);
    expect(revoked).toEqual(["DELETE /api/v1/sessions/ses_2"]);
  });

  it("a refusal is shown under its row", async () => {
    serveSessions({ ...problem, status: 404, code: "not_found", title: "There is none." });
    show(<SecurityPage />);
    await userEvent.click((await buttons())[1]!);
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("There is none.");
    expect(alert.closest("tr")?.previousElementSibling).toContainElement((await buttons())[1]!);
    expect(await buttons()).toHaveLength(2);
  });
});

describe("one's own password", () => {
  /** Answers a change of the password; what was sent is kept. */
  function servePassword(answer: () => Response) {
    const sent: unknown[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
      const request = input as Request;
      if (request.method === "GET") return json({ items: [session("ses_1", 21, true)] });
      sent.push([request.method, new URL(request.url).pathname, await request.json()]);
      return answer();
    });
    return sent;
  }

  async function change(current: string, wanted: string) {
    await userEvent.type(await screen.findByLabelText(/^Current password/), current);
    await userEvent.type(screen.getByLabelText(/^New password/), wanted);
    await userEvent.click(screen.getByRole("button", { name: "Change the password" }));
  }

  it("is changed by who knows it, and what that does elsewhere is said", async () => {
    const sent = servePassword(() => new Response(null, { status: 204 }));
    show(<SecurityPage />, meWith({ permissions: [] }));
    await change("the old one", "violet kettle marching 41");
    expect(await screen.findByText("Changed. Your other browsers are signed out.")).toBeVisible();
    expect(screen.getByLabelText(/^Current password/)).toHaveValue("");
    expect(sent).toEqual([
      ["PUT", "/api/v1/password", { current: "the old one", new: "violet kettle marching 41" }],
    ]);
  });

  it("is not sent when the new one is short", async () => {
    const sent = servePassword(() => new Response(null, { status: 204 }));
    show(<SecurityPage />);
    await change("the old one", "short");
    expect(await screen.findByText("Use at least 12 characters")).toBeVisible();
    expect(sent).toEqual([]);
  });

  it("stays when the server refuses, and the field says why", async () => {
    const message = "This is not your password.";
    servePassword(() =>
      json(
        {
          ...problem,
          status: 422,
          code: "request.invalid",
          title: "Something is wrong.",
          errors: [{ pointer: "/current", message }],
        },
        422,
      ),
    );
    show(<SecurityPage />);
    await change("wrong", "violet kettle marching 41");
    await waitFor(() =>
      expect(screen.getByLabelText(/^Current password/)).toHaveAccessibleDescription(message),
    );
    expect(screen.queryByText(/^Changed/)).not.toBeInTheDocument();
  });
});
