import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { meWith, problem } from "../../test/fixtures";
import { show } from "../../test/render";
import { SettingsPage } from "./SettingsPage";

const me = meWith();

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

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
