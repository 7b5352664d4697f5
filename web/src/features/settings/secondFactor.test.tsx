import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { meWith } from "../../test/fixtures";
import { json, nothing, open, refusal, type Answers } from "../../test/open";

const SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const RECOVERY = ["01234-56789-abcde-f0123", "11111-22222-33333-44444"];

const field = (pointer: string, message: string) =>
  refusal(422, "request.invalid", { errors: [{ pointer, message }] });

/** A server that keeps whether the second factor is on. */
function visit(on: boolean, left = 10, answers: Answers = {}) {
  return open("/settings/security", {
    "GET /me": () => json(meWith({ permissions: [] })),
    "GET /onboarding": () => json(meWith().onboarding),
    "GET /second-factor": () => json({ on, recovery_codes_left: on ? left : 0 }),
    "POST /second-factor": (body) =>
      (body as { password: string }).password === "wrong"
        ? field("/password", "This is not your password.")
        : json({ secret: SECRET, url: `otpauth://totp/CLP:ana?secret=${SECRET}&issuer=CLP` }, 201),
    "PUT /second-factor": (body) => {
      if ((body as { code: string }).code === "000000") return field("/code", "Not the code now.");
      on = true;
      return json({ recovery_codes: RECOVERY });
    },
    "POST /second-factor/removal": (body) => {
      if ((body as { code: string }).code === "000000") return field("/code", "Not right.");
      on = false;
      return nothing();
    },
    ...answers,
  });
}

const section = () => screen.findByRole("region", { name: "Second factor" });
const press = (name: string) => userEvent.click(screen.getByRole("button", { name }));

describe("a second factor", () => {
  it("is set up: password, secret, first code, recovery codes", async () => {
    const { sent } = visit(false);
    await userEvent.click(await screen.findByRole("button", { name: "Set up…" }));
    const dialog = await screen.findByRole("dialog", { name: "Set up a second factor" });
    const password = within(dialog).getByLabelText(/^Password/);
    await userEvent.type(password, "wrong{Enter}");
    await waitFor(() => expect(password).toHaveAccessibleDescription("This is not your password."));
    await userEvent.clear(password);
    await userEvent.type(password, "my password{Enter}");

    const scan = await screen.findByRole("dialog", { name: "Add it to your authenticator" });
    const picture = within(scan).getByRole("img", { name: /^QR code/ });
    expect(picture.querySelector("path")?.getAttribute("d")?.length).toBeGreaterThan(1_000);
    expect(within(scan).getByRole("textbox", { name: "Secret" })).toHaveValue(SECRET);
    expect(within(scan).getByText(/^Scan this/)).toHaveFocus();
    const code = within(scan).getByLabelText(/^First code/);
    await userEvent.type(code, "000000{Enter}");
    await waitFor(() => expect(code).toHaveAccessibleDescription(/Not the code now/));
    await userEvent.clear(code);
    await userEvent.type(code, "123456{Enter}");

    const codes = await screen.findByRole("dialog", { name: "Keep your recovery codes" });
    expect(within(codes).getByRole("group", { name: "Recovery codes" })).toHaveTextContent(
      RECOVERY.join(" "),
    );
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await press("Copy the codes");
    expect(await within(codes).findByText("Copied")).toBeVisible();
    expect(write).toHaveBeenCalledWith(RECOVERY.join("\n"));
    await userEvent.keyboard("{Escape}");
    expect(codes).toBeVisible();
    await press("I have kept them");
    expect(await within(await section()).findByText("On")).toBeVisible();
    await waitFor(() =>
      expect(screen.getByRole("heading", { name: "Second factor" })).toHaveFocus(),
    );
    expect(screen.queryByText(RECOVERY[0]!, { exact: false })).not.toBeInTheDocument();
    expect(sent.map(({ method, path, body }) => [method, path, body])).toEqual([
      ["POST", "/second-factor", { password: "wrong" }],
      ["POST", "/second-factor", { password: "my password" }],
      ["PUT", "/second-factor", { code: "000000" }],
      ["PUT", "/second-factor", { code: "123456" }],
    ]);
  });

  it("that was not finished is not on, and begins anew", async () => {
    visit(false);
    await userEvent.click(await screen.findByRole("button", { name: "Set up…" }));
    await userEvent.type(
      within(await screen.findByRole("dialog")).getByLabelText(/^Password/),
      "my password{Enter}",
    );
    await screen.findByRole("dialog", { name: "Add it to your authenticator" });
    await press("Back");
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(within(await section()).getByText("Off")).toBeVisible();
    await press("Set up…");
    expect(await screen.findByRole("dialog", { name: "Set up a second factor" })).toBeVisible();
  });

  it("says how many recovery codes are left", async () => {
    visit(true, 9);
    expect(await screen.findByText("9 recovery codes are left.")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Set up…" })).not.toBeInTheDocument();
  });

  it.each([
    [2, "Only 2 recovery codes are left"],
    [1, "Only 1 recovery code is left"],
    [0, "No recovery codes are left"],
  ])("warns when %i are left", async (left, words) => {
    visit(true, left);
    const warning = await screen.findByRole("group", { name: words });
    expect(warning).toHaveTextContent(/remove the second factor and set it up again/);
  });

  it("does not warn when three are left", async () => {
    visit(true, 3);
    expect(await screen.findByText("3 recovery codes are left.")).toBeVisible();
    expect(screen.queryByText(/^Only/)).not.toBeInTheDocument();
  });

  it("is removed by who has the password and a code", async () => {
    const { sent } = visit(true);
    await userEvent.click(await screen.findByRole("button", { name: "Remove…" }));
    const dialog = await screen.findByRole("dialog", { name: "Remove the second factor?" });
    await press("Remove it");
    expect(await within(dialog).findByText("Enter the code")).toBeVisible();
    expect(sent).toEqual([]);
    await userEvent.type(within(dialog).getByLabelText(/^Password/), "my password");
    const code = within(dialog).getByLabelText(/^Code/);
    await userEvent.type(code, "000000{Enter}");
    await waitFor(() => expect(code).toHaveAccessibleDescription(/Not right/));
    await userEvent.clear(code);
    await userEvent.type(code, "123456{Enter}");
    expect(await screen.findByRole("button", { name: "Set up…" })).toBeVisible();
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(sent.at(-1)).toEqual({
      method: "POST",
      path: "/second-factor/removal",
      body: { password: "my password", code: "123456" },
    });
  });
});
