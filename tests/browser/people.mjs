#!/usr/bin/env node
/**
 * Who may do what, in real browsers of two people, against a running platform: an admin invites a viewer, who joins by the
 * link, sees what a viewer may see, and neither sees nor reaches what they may not; made an approver, they decide. Then an
 * API key, a password, a second factor, the pages around signing in, and single sign-on through an identity provider. Its
 * variables are those of harness.mjs; the platform has to allow private addresses (CLP_SSO_PRIVATE=1).
 */
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  agree,
  allow,
  awaitProposals,
  base,
  openApprovable,
  openBrowser,
  patiently,
  selectAll,
  signOut,
  signUp,
  step,
  tabTo,
  verified,
  walk,
} from "./harness.mjs";

const now = Date.now();
const admin = {
  agency: "Tide & Meadow",
  name: "Ada Admin",
  email: `ada.${now}@agency.example`,
  password: "correct horse battery staple",
};
const viewer = {
  name: "Vera Viewer",
  email: `vera.${now}@agency.example`,
  password: "violet kettle marching 41",
  next: "seven quiet otters paddle",
};
const nobody = `nobody.${now}@agency.example`;
const guest = { name: "Gina", email: `gina.${now}@agency.example` };
const client = { CLIENT_ID: "clp", CLIENT_SECRET: "the secret of this client" };

const hers = await openBrowser();
const theirs = await openBrowser();
const links = [];

// The secret of a link is for the bodies of requests: it is in no address that is asked for, and in no referrer.
theirs.page.on("request", (request) => {
  const secrets = links.map((link) => link.split("#")[1]);
  const said = [request.url().split("#")[0], request.headers().referer ?? ""].join(" ");
  if (secrets.some((secret) => said.includes(secret))) leaks.push(request.url());
});
const leaks = [];

function demand(holds, complaint) {
  if (!holds) throw new Error(complaint);
}

async function anAgency() {
  const { page, button, heading } = hers;
  await page.goto(`${base}/sign-up`);
  await signUp(hers, admin);
  await button("Connect Display & Video 360").click();
  await allow(hers);
  await selectAll(hers);
  await button("Bring them in").click();
  await heading("Overview").waitFor(patiently);
  const campaigns = page.getByRole("table", { name: "Campaigns" });
  await campaigns.getByText(/^(Behind|On pace|Ahead)/).first().waitFor(patiently);
  await awaitProposals(hers);
}

/** Asks for an invitation and keeps its link. */
async function invite(email, name) {
  const { page, button, check } = hers;
  await button("Invite…").click();
  const form = page.getByRole("dialog", { name: "Invite a colleague" });
  await form.getByLabel("E-mail").fill(email);
  if (name) await check(`${name}-form`);
  await form.getByRole("button", { name: "Invite", exact: true }).click();
  await keepLink(email, name);
}

async function keepLink(email, name) {
  const { page, check } = hers;
  const made = page.getByRole("dialog", { name: `${email} is invited` });
  await made.getByText("This deployment sends no mail. Pass the link on yourself.").waitFor();
  links.push(await made.getByRole("textbox", { name: "Link" }).inputValue());
  if (name) await check(`${name}-link`);
  await made.getByRole("button", { name: "Done" }).click();
  await made.waitFor({ state: "hidden" });
}

async function inviting() {
  const { page, heading, main, check } = hers;
  await main().getByRole("link", { name: "Members" }).click();
  await heading("Members").waitFor();
  await page.getByText("Nobody is waiting").waitFor();
  await check("members-nobody-waiting");
  await invite(viewer.email, "invite");
  await invite(nobody);
  const table = page.getByRole("table", { name: "Invitations" });
  const row = (email) => table.getByRole("row").filter({ hasText: email });
  await row(viewer.email).getByText("Not mailed").waitFor();
  await row(nobody).getByText("Viewer", { exact: true }).waitFor();
  await check("invitations");
  await page.getByRole("button", { name: `Send again to ${viewer.email}` }).click();
  await keepLink(viewer.email);
  demand(new Set(links).size === 3, "an invitation that is sent again has its old link");
  await page.getByRole("button", { name: `Withdraw the invitation of ${nobody}…` }).click();
  await page.getByRole("dialog", { name: "Withdraw the invitation?" }).waitFor();
  await check("invitation-withdraw");
  await hers.button("Withdraw the invitation").click();
  await row(nobody).waitFor({ state: "hidden" });
}

async function linksOfNoUse() {
  const { page, check, heading } = theirs;
  const [replaced, withdrawn] = links;
  for (const link of [replaced, withdrawn]) {
    const looked = page.waitForResponse((response) => response.url().endsWith("/invitations/look"));
    await page.goto(link);
    demand((await looked).status() === 410, "a link that was replaced or withdrawn holds");
    await page.getByText("This invitation does not hold any more").waitFor();
    await page.waitForURL(`${base}/invitation`);
  }
  await check("invitation-unusable");
  await page.goto("about:blank");
  await page.goto(`${base}/invitation`);
  await heading("Your invitation").waitFor();
  await page.getByText("This address is not complete").waitFor();
  await check("invitation-incomplete");
}

/** The whole form is filled in without a mouse. */
async function joining() {
  const { page, check, heading } = theirs;
  await page.goto(links[2]);
  await heading(`Join ${admin.agency}`).waitFor();
  await page.getByRole("link", { name: /^Read the terms/ }).waitFor();
  await page.waitForURL(`${base}/invitation`);
  await check("invitation");
  const name = page.getByLabel("Your name");
  await name.focus();
  await page.keyboard.type(viewer.name);
  await page.keyboard.press("Tab");
  await page.keyboard.type("password1234");
  const box = page.getByRole("checkbox", { name: /^I agree/ });
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  demand(await box.isChecked(), "the box is not reached by keyboard");
  await tabTo(page, (focus) => focus.text === "Create the account and join", "the form's button");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "too easy to guess" }).waitFor();
  await check("invitation-refused");
  await page.getByLabel(/^Password/).fill(viewer.password);
  await page.keyboard.press("Enter");
  await heading("Overview").waitFor();
  await page.getByText(admin.agency).first().waitFor();
  await page.getByRole("table", { name: "Campaigns" }).getByRole("link").first().waitFor();
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  demand(!links.some((link) => kept.includes(link.split("#")[1])), "the browser keeps the secret of a link");
  demand(leaks.length === 0, `the secret of a link was sent in an address: ${leaks}`);
}

async function whatAViewerSees() {
  const { page, check, main, inbox, detail } = theirs;
  const places = await main().getByRole("link").allTextContents();
  const seen = places.map((place) => place.replace(/\d+$/, "")).join();
  demand(seen === "Overview,Approvals,Connections,Runs,Settings", `a viewer is led to ${seen}`);
  await main().getByRole("link", { name: /^Approvals/ }).click();
  await inbox().getByRole("link").first().click();
  await detail().getByText(/does not let you approve or reject/).waitFor();
  demand((await detail().getByRole("button", { name: "Approve" }).count()) === 0, "a viewer is offered to approve");
  await check("viewer-approval");
  await main().getByRole("link", { name: "Settings" }).click();
  await page.getByText("Your role does not let you freeze changes.").waitFor();
  await check("viewer-settings");
  await page.getByRole("link", { name: "Sign-in security" }).click();
  await page.getByRole("table", { name: /signed in/ }).waitFor();
  for (const name of ["API keys", "Single sign-on"])
    demand((await page.getByRole("link", { name }).count()) === 0, `a viewer is led to ${name}`);
  await check("viewer-security");
  for (const path of ["members", "audit", "settings/api-keys", "settings/single-sign-on"]) {
    await page.goto(`${base}/${path}`);
    await page.getByText("Your role does not allow this").waitFor();
    await check(`viewer-${path.replace("/", "-")}`);
  }
}

/** What the screens don't offer, asked of the API itself with the viewer's own session. */
async function whatAViewerIsRefused() {
  const { page } = theirs;
  const proposals = await ask(page, "GET", "/proposals?state=open");
  const open = proposals.body.items[0];
  demand(proposals.status === 200 && open, "a viewer sees no proposals");
  const refused = [
    ["GET", "/members"],
    ["GET", "/invitations"],
    ["POST", "/invitations", { email: "friend@agency.example", role: "admin" }],
    ["GET", "/api-keys"],
    ["POST", "/api-keys", { name: "mine", permissions: ["delivery.read"], expires_in_days: 30 }],
    ["GET", "/audit"],
    ["GET", "/sso"],
    ["DELETE", "/sso"],
    ["POST", `/proposals/${open.id}/approve`, { change_hash: open.change_hash }],
    ["PUT", "/organisation/freeze", { frozen: true, reason: "mine" }],
  ];
  for (const [method, path, body] of refused) {
    const { status } = await ask(page, method, path, body);
    demand(status === 403, `${method} ${path} answers a viewer with ${status}`);
  }
}

function ask(page, method, path, body) {
  return page.evaluate(
    async ([method, path, body]) => {
      const headers = { "X-Requested-With": "clp", "Idempotency-Key": crypto.randomUUID() };
      if (body) headers["Content-Type"] = "application/json";
      const sent = body ? JSON.stringify(body) : undefined;
      const response = await fetch(`/api/v1${path}`, { method, headers, body: sent });
      return { status: response.status, body: await response.json().catch(() => null) };
    },
    [method, path, body],
  );
}

async function promoting() {
  const { page, check } = hers;
  await page.reload();
  await page.getByRole("combobox", { name: `Role of ${viewer.name}` }).click();
  await page.getByRole("option", { name: "Approver" }).click();
  const row = page.getByRole("table", { name: "Members" }).getByRole("row").filter({ hasText: viewer.email });
  await row.getByText("Saved").waitFor();
  await page.getByText("Nobody is waiting").waitFor();
  await check("members-promoted");
}

async function deciding() {
  const { page, button, check, inbox } = theirs;
  await page.goto(`${base}/approvals`);
  await inbox().getByRole("link").first().waitFor();
  const yes = await openApprovable(theirs);
  await yes.click();
  await page.getByRole("dialog", { name: "Approve this change?" }).waitFor();
  await button("Approve the change").click();
  await verified(theirs);
  await check("approver-verified");
}

async function apiKey() {
  const { page, button, heading, main, check } = hers;
  await main().getByRole("link", { name: "Settings" }).click();
  await page.getByRole("link", { name: "API keys" }).click();
  await heading("API keys").waitFor();
  await page.getByText("No keys yet").waitFor();
  await check("api-keys-empty");
  await button("New key…").click();
  const form = page.getByRole("dialog", { name: "New API key" });
  await form.getByLabel("Name").fill("Looker export");
  await form.getByRole("checkbox", { name: "See delivery" }).check();
  await check("api-key-form");
  await button("Make the key").click();
  const made = page.getByRole("dialog", { name: "Your key “Looker export”" });
  const secret = await made.getByRole("textbox", { name: "Key" }).inputValue();
  await check("api-key-made");
  await made.getByRole("button", { name: "Done" }).click();
  const asks = async (path) => {
    const headers = { Authorization: `Bearer ${secret}` };
    return (await fetch(`${base}/api/v1${path}`, { headers })).status;
  };
  demand((await asks("/overview")) === 200, "the key does not see delivery");
  demand((await asks("/members")) === 403, "the key sees more than it may");
  await page.reload();
  await page.getByRole("table", { name: "API keys" }).getByText(/See delivery/).waitFor();
  demand((await page.getByText("never", { exact: true }).count()) === 0, "the key is listed as never used");
  await check("api-keys");
  await page.getByRole("button", { name: "Revoke Looker export…" }).click();
  await button("Revoke the key").click();
  await page.getByText("Revoked", { exact: true }).waitFor();
  demand((await asks("/overview")) === 401, "a revoked key holds");
}

async function anotherPassword() {
  const { page, button, heading } = theirs;
  await page.goto(`${base}/settings/security`);
  await page.getByLabel(/^Current password/).fill(viewer.password);
  await page.getByLabel(/^New password/).fill(viewer.next);
  await button("Change the password").click();
  await page.getByText("Changed. Your other browsers are signed out.").waitFor();
  await signOut(theirs);
  await enterPassword();
  await heading("Overview").waitFor();
}

async function enterPassword() {
  const { page, button } = theirs;
  await page.goto(`${base}/sign-in`);
  await page.getByRole("textbox", { name: "E-mail" }).fill(viewer.email);
  await page.getByLabel(/^Password/).fill(viewer.next);
  await button("Sign in").click();
}

const STEP_SECONDS = 30;

/** The number of the code that holds now, by the platform's clock. */
async function stepNow(page) {
  const { body } = await ask(page, "GET", "/me");
  return Math.floor(Date.parse(body.now) / 1_000 / STEP_SECONDS);
}

/** What an authenticator with this secret shows in that step: RFC 6238. */
function codeAt(secret, step) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac("sha1", key).update(counter).digest();
  const number = digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** What the viewer keeps of the second factor. */
const factor = { secret: "", step: 0, recovery: [] };

async function secondFactor() {
  const { page, button, check } = theirs;
  await page.goto(`${base}/settings/security`);
  const section = page.getByRole("region", { name: "Second factor" });
  await section.getByText("Off", { exact: true }).waitFor();
  await check("security");
  await button("Set up…").click();
  const begin = page.getByRole("dialog", { name: "Set up a second factor" });
  await begin.getByLabel(/^Password/).fill(viewer.next);
  await check("second-factor-begin");
  await button("Go on").click();
  const scan = page.getByRole("dialog", { name: "Add it to your authenticator" });
  await scan.getByRole("img", { name: /^QR code/ }).waitFor();
  factor.secret = await scan.getByRole("textbox", { name: "Secret" }).inputValue();
  await check("second-factor-scan");
  factor.step = await stepNow(page);
  await scan.getByLabel(/^First code/).fill(codeAt(factor.secret, factor.step - 5));
  await button("Turn it on").click();
  await scan.getByRole("alert").waitFor();
  await scan.getByLabel(/^First code/).fill(codeAt(factor.secret, factor.step));
  await page.keyboard.press("Enter");
  const codes = page.getByRole("dialog", { name: "Keep your recovery codes" });
  const shown = await codes.getByRole("group", { name: "Recovery codes" }).textContent();
  factor.recovery = shown.split("\n");
  demand(factor.recovery.length === 10, "there are not ten recovery codes");
  await check("second-factor-codes");
  await page.keyboard.press("Escape");
  await button("I have kept them").click();
  await section.getByText("10 recovery codes are left.").waitFor();
  await codes.waitFor({ state: "hidden" });
  await check("second-factor-on");
}

async function signingInWithCodes() {
  const { page, button, heading, check } = theirs;
  await signOut(theirs);
  await enterPassword();
  const code = page.getByLabel(/^Code/);
  await code.waitFor();
  demand((await ask(page, "GET", "/me")).status === 401, "the password alone signs in");
  await check("sign-in-code");
  await code.fill(codeAt(factor.secret, factor.step));
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "was used before" }).waitFor();
  await check("sign-in-code-used");
  await code.fill(codeAt(factor.secret, factor.step + 1));
  await page.keyboard.press("Enter");
  await heading("Overview").waitFor();
  await signOut(theirs);
  await enterPassword();
  await button("Use a recovery code").click();
  await check("sign-in-recovery");
  await page.getByLabel(/^Recovery code/).fill(factor.recovery[0]);
  await button("Sign in").click();
  await heading("Overview").waitFor();
  await page.goto(`${base}/settings/security`);
  await page.getByText("9 recovery codes are left.").waitFor();
}

/** New versions come with a new start of the platform; here only the answer to "who is signed in" is another one. */
async function agreeing() {
  const { page, button, heading, check } = theirs;
  await page.route("**/api/v1/me", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), agreed: false } });
  });
  await page.goto(`${base}/runs`);
  await heading("Please agree to go on").waitFor();
  await check("agreement");
  await page.unroute("**/api/v1/me");
  await agree(page);
  await button("Agree and go on").click();
  await heading("Runs").waitFor();
}

async function aroundSigningIn() {
  const { page, button, heading, check } = theirs;
  await signOut(theirs);
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await heading("Forgotten your password?").waitFor();
  await check("forgotten-password");
  await page.getByLabel("E-mail").fill(nobody);
  await button("Send the link").click();
  await page.getByText(/^If there is an account, a mail is on its way/).waitFor();
  await check("forgotten-password-sent");
  await page.goto(`${base}/password-reset`);
  await page.getByText("This address is not complete").waitFor();
  await page.goto(`${base}/password-reset#made-up`);
  await page.getByLabel(/^New password/).fill(viewer.password);
  await page.waitForURL(`${base}/password-reset`);
  await check("password-reset");
  await button("Change the password").click();
  await page.getByText("This link does not hold any more").waitFor();
  await check("password-reset-unusable");
  for (const [path, title] of [
    ["terms", "Terms of use"],
    ["privacy", "Privacy notice"],
  ]) {
    await page.goto(`${base}/legal/${path}`);
    await heading(title).waitFor();
    await check(`legal-${path}`);
  }
}

let provider;

/** Starts an identity provider with one client, and returns its issuer. */
async function startProvider(redirectUri) {
  const script = fileURLToPath(new URL("identity-provider.mjs", import.meta.url));
  const env = { ...process.env, ...client, REDIRECT_URI: redirectUri };
  provider = spawn(process.execPath, [script], { env, stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface(provider.stdout))
    if (line.startsWith("issuer ")) return line.slice("issuer ".length);
  throw new Error("the identity provider does not start");
}

let signInLink;

async function settingUpSso() {
  const { page, button, heading, main, check } = hers;
  await main().getByRole("link", { name: "Settings" }).click();
  await page.getByRole("link", { name: "Single sign-on" }).click();
  await heading("Single sign-on").waitFor();
  await page.getByText("Not set up").waitFor();
  await check("sso-empty");
  signInLink = await page.getByRole("textbox", { name: "Sign-in link" }).inputValue();
  const issuer = await startProvider(await page.getByRole("textbox", { name: "Redirect URI" }).inputValue());
  await page.getByLabel(/^Issuer/).fill(`${issuer}/elsewhere`);
  await page.getByLabel(/^Client ID/).fill(client.CLIENT_ID);
  await page.getByLabel(/^Client secret/).fill(client.CLIENT_SECRET);
  await page.getByLabel(/^People whom it knows/).selectOption("Join as Viewer");
  await button("Save").click();
  await page.getByRole("alert").filter({ hasText: "No OpenID Connect document" }).waitFor();
  await check("sso-no-document");
  await page.getByLabel(/^Issuer/).fill(issuer);
  await button("Save").click();
  await page.getByText(/^Saved/).waitFor();
  await button("Remove…").waitFor();
  await check("sso-set");
}

/** A person at their identity provider. Its pages want letters from far away, which a test does not fetch. */
async function atProvider({ page }, email) {
  await page.getByPlaceholder("Enter any login").fill(email);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

const without = (browser) => browser.page.route(/fonts\.googleapis\.com/, (route) => route.abort());

/** Nobody knows them here: they come in by what their provider says, and with the role that is for such people. */
async function comingInBySso() {
  const theirOwn = await openBrowser();
  const { page, button, heading, main, check } = theirOwn;
  await without(theirOwn);
  await page.goto(signInLink);
  await button("Continue with single sign-on").waitFor();
  await check("sign-in-sso");
  await button("Continue with single sign-on").click();
  await page.getByRole("link", { name: /Cancel/ }).click();
  await page.getByRole("alert").filter({ hasText: "could not be reached, or its answer" }).waitFor();
  await check("sign-in-sso-failed");
  await page.goto(signInLink);
  await button("Continue with single sign-on").click();
  await atProvider(theirOwn, guest.email);
  await heading("Please agree to go on").waitFor();
  await agree(page);
  await button("Agree and go on").click();
  await heading("Overview").waitFor();
  await page.getByText(admin.agency).first().waitFor();
  const { body: me } = await ask(page, "GET", "/me");
  demand(me.role === "viewer" && me.user.email === guest.email, `who comes in is ${JSON.stringify(me.user)}`);
  demand(me.user.name === guest.name, `the provider's name for them is not kept: ${me.user.name}`);
  const places = await main().getByRole("link").allTextContents();
  const seen = places.map((place) => place.replace(/\d+$/, "")).join();
  demand(seen === "Overview,Approvals,Connections,Runs,Settings", `who comes in is led to ${seen}`);
  for (const path of ["/members", "/sso", "/audit", "/api-keys"])
    demand((await ask(page, "GET", path)).status === 403, `GET ${path} is not refused`);
  await check("sso-overview");
}

/** The approver's password and code are right, and not enough any more; their provider's word is. */
async function requiringSso() {
  await hers.page.getByRole("checkbox", { name: /^Everybody has to/ }).check();
  await hers.button("Save").click();
  await hers.page.getByText(/^Saved/).waitFor();
  const { page, button, heading, check } = theirs;
  await without(theirs);
  await enterPassword();
  await button("Use a recovery code").click();
  await page.getByLabel(/^Recovery code/).fill(factor.recovery[1]);
  await button("Sign in").click();
  await page.getByRole("alert").filter({ hasText: "sign in through its identity provider" }).waitFor();
  await check("sign-in-sso-needed");
  await button("Continue with single sign-on").click();
  await page.getByLabel(/^Work e-mail/).waitFor();
  await button("Continue with single sign-on").click();
  await atProvider(theirs, viewer.email);
  await heading("Overview").waitFor();
  const { body: me } = await ask(page, "GET", "/me");
  demand(me.user.name === viewer.name && me.role === "approver", "the provider's person is somebody else here");
}

async function removingSso() {
  const { page, button, check } = hers;
  await button("Remove…").click();
  await page.getByRole("dialog", { name: "Remove single sign-on?" }).waitFor();
  await check("sso-remove");
  await button("Remove single sign-on").click();
  await page.getByText("Not set up").waitFor();
  await theirs.page.goto(`${base}/runs`);
  await theirs.heading("Sign in").waitFor();
}

await walk("people", async () => {
  await step("an agency with proposals", anAgency);
  await step("invited, sent again, withdrawn", inviting);
  await step("links that do not hold say so calmly", linksOfNoUse);
  await step("joined by keyboard, the secret kept out of every address", joining);
  await step("a viewer sees what a viewer may", whatAViewerSees);
  await step("the API refuses a viewer what the screens do not offer", whatAViewerIsRefused);
  await step("the viewer becomes an approver", promoting);
  await step("the approver decides", deciding);
  await step("API key: made, used, revoked", apiKey);
  await step("another password", anotherPassword);
  await step("second factor set up", secondFactor);
  await step("signed in with a code, and with a recovery code", signingInWithCodes);
  await step("agreed to anew before going on", agreeing);
  await step("forgotten password, legal pages", aroundSigningIn);
  await step("identity provider set up", settingUpSso);
  await step("somebody new comes in by single sign-on", comingInBySso);
  await step("single sign-on required: a password is not enough", requiringSso);
  await step("identity provider removed, and its people signed out", removingSso);
});
provider?.stdin.end();
