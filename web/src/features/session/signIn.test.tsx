import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { meWith } from "../../test/fixtures";
import { json, open, refusal, signedOut, type Answers } from "../../test/open";

const EMAIL = "ana@agency.example";
const PASSWORD = "violet kettle marching 41";
const PROVIDER = "https://login.agency.example/auth?state=1";

/** A server on which nobody is signed in until it lets somebody in. */
function visit(address: string, answers: Answers) {
  let here = signedOut;
  const enter = () => {
    here = () => json(meWith());
    return json(meWith());
  };
  const signIn = answers["POST /session"];
  return open(address, {
    "GET /onboarding": () => json(meWith().onboarding),
    ...answers,
    "POST /session": (body) => signIn?.(body) ?? enter(),
    "GET /me": () => here(),
  });
}

/** The password is right; "123456" and one recovery code are as well. */
const guarded: Answers = {
  "POST /session": (body) => {
    const { code } = body as { code?: string };
    if (code === undefined) return refusal(401, "auth.code_needed");
    if (code === "000000") return refusal(401, "auth.wrong_code");
    if (code === "throttle") return refusal(429, "auth.too_many_attempts");
    if (code === "changed") return refusal(401, "auth.wrong_credentials");
    return undefined as unknown as Response;
  },
};

async function enterPassword() {
  await userEvent.type(await screen.findByLabelText(/^E-mail/), EMAIL);
  await userEvent.type(screen.getByLabelText(/^Password/), `${PASSWORD}{Enter}`);
}

const code = () => screen.findByLabelText(/^Code/);
const bodies = (sent: { body: unknown }[]) => sent.map(({ body }) => body);

describe("signing in with a second factor", () => {
  it("asks for the code when the password was right", async () => {
    const { sent, history } = visit("/sign-in?return=%2Fsettings", guarded);
    await enterPassword();
    expect(await code()).toHaveFocus();
    expect(await code()).toHaveAttribute("autocomplete", "one-time-code");
    expect(await code()).toHaveAttribute("inputmode", "numeric");
    expect(await code()).toHaveAccessibleDescription(/A recovery code does as well/);
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
    expect(screen.queryByLabelText(/^Password/)).not.toBeInTheDocument();
    await userEvent.type(await code(), "123456{Enter}");
    expect(await screen.findByRole("heading", { name: "Settings" })).toBeVisible();
    expect(history.location.pathname).toBe("/settings");
    const known = { email: EMAIL, password: PASSWORD };
    expect(bodies(sent)).toEqual([known, { ...known, code: "123456" }]);
  });

  it("stays at the code when it is wrong, and nothing needs to be typed again", async () => {
    const { sent } = visit("/sign-in?return=%2Fsettings", guarded);
    await enterPassword();
    await userEvent.type(await code(), "000000");
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.wrong_code");
    expect(await code()).toHaveValue("");
    await waitFor(async () => expect(await code()).toHaveFocus());
    await userEvent.type(await code(), "123456{Enter}");
    expect(await screen.findByRole("heading", { name: "Settings" })).toBeVisible();
    expect(sent).toHaveLength(3);
  });

  it("takes a recovery code, on a keyboard that has letters", async () => {
    const { sent } = visit("/sign-in?return=%2Fsettings", guarded);
    await enterPassword();
    await code();
    await userEvent.click(screen.getByRole("button", { name: "Use a recovery code" }));
    const field = screen.getByLabelText(/^Recovery code/);
    expect(field).toHaveFocus();
    expect(field).toHaveAttribute("inputmode", "text");
    await userEvent.type(field, "01234-56789-abcde-f0123{Enter}");
    expect(await screen.findByRole("heading", { name: "Settings" })).toBeVisible();
    expect(sent.at(-1)?.body).toMatchObject({ code: "01234-56789-abcde-f0123" });
  });

  it("does not send an empty code", async () => {
    const { sent } = visit("/sign-in", guarded);
    await enterPassword();
    await userEvent.type(await code(), "{Enter}");
    expect(await screen.findByText("Enter the code")).toBeVisible();
    expect(sent).toHaveLength(1);
  });

  it("says at the code that guessing is held back", async () => {
    visit("/sign-in", guarded);
    await enterPassword();
    await userEvent.type(await code(), "throttle{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.too_many_attempts");
    expect(await code()).toBeVisible();
  });

  it("asks for the password again when that is what is wrong", async () => {
    visit("/sign-in", guarded);
    await enterPassword();
    await userEvent.type(await code(), "changed{Enter}");
    expect(await screen.findByLabelText(/^Password/)).toBeVisible();
    expect(screen.getByRole("alert")).toHaveTextContent("auth.wrong_credentials");
  });

  it("can be left for another account", async () => {
    visit("/sign-in", guarded);
    await enterPassword();
    await code();
    await userEvent.click(screen.getByRole("button", { name: "Back" }));
    expect(await screen.findByLabelText(/^E-mail/)).toHaveValue(EMAIL);
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  });
});

describe("single sign-on", () => {
  const begun: Answers = { "POST /sso/begin": () => json({ redirect_url: PROVIDER }) };
  const leaving = () => vi.spyOn(window.location, "assign").mockImplementation(() => {});

  it("goes to the provider of who has this e-mail", async () => {
    const assign = leaving();
    const { sent } = visit("/sign-in", begun);
    await userEvent.click(await screen.findByRole("button", { name: "Single sign-on" }));
    const email = screen.getByLabelText(/^Work e-mail/);
    expect(email).toHaveFocus();
    await userEvent.type(email, "ana{Enter}");
    expect(await screen.findByText(/^Enter an e-mail address/)).toBeVisible();
    await userEvent.type(email, "@agency.example{Enter}");
    await waitFor(() => expect(assign).toHaveBeenCalledWith(PROVIDER));
    expect(bodies(sent)).toEqual([{ email: EMAIL }]);
  });

  it("is offered at once by the sign-in link of an organisation", async () => {
    const assign = leaving();
    const { sent } = visit("/sign-in?organisation=org_7", begun);
    const go = await screen.findByRole("button", { name: "Continue with single sign-on" });
    expect(screen.queryByLabelText(/e-mail/i)).not.toBeInTheDocument();
    await userEvent.click(go);
    await waitFor(() => expect(assign).toHaveBeenCalledWith(PROVIDER));
    expect(bodies(sent)).toEqual([{ organisation: "org_7" }]);
  });

  it("stays when no provider is known, and leads back to the password", async () => {
    const assign = leaving();
    visit("/sign-in?organisation=org_7", {
      "POST /sso/begin": () => refusal(404, "auth.sso_unknown"),
    });
    await userEvent.click(
      await screen.findByRole("button", { name: "Continue with single sign-on" }),
    );
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.sso_unknown");
    expect(assign).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button", { name: /with a password instead/ }));
    expect(await screen.findByLabelText(/^Password/)).toBeVisible();
  });

  it("is offered to who may not use a password, with the e-mail that they typed", async () => {
    visit("/sign-in", {
      ...begun,
      "POST /session": () => refusal(401, "auth.sso_needed"),
    });
    await enterPassword();
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.sso_needed");
    await userEvent.click(screen.getByRole("button", { name: "Continue with single sign-on" }));
    expect(screen.getByLabelText(/^Work e-mail/)).toHaveValue(EMAIL);
  });

  it.each([
    ["auth.sso_failed", /could not be reached/],
    ["auth.sso_stranger", /Ask an admin of your organisation for an invitation/],
    ["auth.sso_expired", /Start signing in again/],
    ["made.up", /tell your administrator the name “made.up”/],
  ])("says in words what %s means", async (problem, words) => {
    const { sent } = visit(`/sign-in?problem=${problem}`, {});
    expect(await screen.findByRole("alert")).toHaveTextContent(words);
    expect(screen.getByRole("button", { name: "Single sign-on" })).toBeVisible();
    expect(sent).toEqual([]);
  });
});
