#!/usr/bin/env node
/**
 * A development aid: opens every screen of the fixture server in Chromium, in both colour schemes, checks it with axe
 * and keeps a picture.
 *
 *   node dev/fixture-server.mjs 4199 &  node dev/screens.mjs http://127.0.0.1:4199 /tmp/screens
 */
import { AxeBuilder } from "@axe-core/playwright";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:4199", shots = "/tmp/screens", only = ""] = process.argv.slice(2);
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const ARGS =
  "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(
    " ",
  );

const profile = await mkdtemp(join(tmpdir(), "clp-screens-"));
await mkdir(shots, { recursive: true });
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ARGS,
  viewport: { width: 1440, height: 900 },
});
const page = context.pages()[0] ?? (await context.newPage());
const noise = [];
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) noise.push(`${page.url()} ${message.text()}`);
});
page.on("pageerror", (error) => noise.push(`${page.url()} ${error}`));

let checks = 0;
let violations = 0;

async function look(name) {
  await page.waitForLoadState("networkidle").catch(() => {});
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(150);
    const found = (await new AxeBuilder({ page }).withTags(TAGS).analyze()).violations;
    checks += 1;
    for (const violation of found) {
      violations += 1;
      console.log(`✗ ${name} ${colorScheme} ${violation.id}: ${violation.help}`);
      for (const node of violation.nodes.slice(0, 4))
        console.log(`    ${node.target} ${node.failureSummary.split("\n").at(-1)}`);
    }
    await page.screenshot({ path: join(shots, `${name}-${colorScheme}.png`) });
  }
  await page.emulateMedia({ colorScheme: "light" });
}

async function signIn(email) {
  await context.clearCookies();
  await page.goto(`${base}/sign-in`);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel(/^Password/).fill("a long password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

async function agree() {
  await page.getByRole("link", { name: /^Read the terms/ }).waitFor();
  await page.getByRole("checkbox", { name: /^I agree/ }).check();
}

const scenes = {
  async entry() {
    await page.goto(`${base}/sign-up`);
    await look("sign-up");
    await page.getByRole("button", { name: "Create account" }).click();
    await look("sign-up-errors");
    await page.goto(`${base}/sign-in`);
    await page.getByLabel("E-mail").fill("nobody@agency.example");
    await page.getByLabel(/^Password/).fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await look("sign-in-wrong");
  },
  async wizard() {
    await context.clearCookies();
    await page.goto(`${base}/sign-up`);
    await page.getByLabel("Agency").fill("Hafen Media");
    await page.getByLabel("Your name").fill("Paula Planner");
    await page.getByLabel("E-mail").fill(`paula+${Date.now()}@agency.example`);
    await page.getByLabel(/^Password/).fill("a long password");
    await agree();
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("button", { name: "Connect Display & Video 360" }).waitFor();
    await look("wizard-connect");
    await page.goto(`${base}/onboarding?problem=connection.consent_denied`);
    await page.getByRole("alert").waitFor();
    await look("wizard-denied");
    await page.getByRole("button", { name: "Connect Display & Video 360" }).click();
    await page.getByRole("button", { name: "Allow" }).click();
    await page.getByRole("heading", { name: "Checking the access" }).waitFor();
    await page.screenshot({ path: join(shots, "wizard-verifying.png") });
    await page.getByRole("heading", { name: "Choose the advertisers" }).waitFor();
    await page.getByRole("button", { name: /Select all active/ }).click();
    await look("wizard-choose");
    await page.getByRole("button", { name: "Cancel the setup" }).click();
    await page.getByRole("dialog").waitFor();
    await look("wizard-cancel");
    await page.getByRole("button", { name: "Keep going" }).click();
    await page.getByRole("button", { name: "Bring them in" }).click();
    await page.getByRole("heading", { name: "Getting your data" }).waitFor();
    await look("wizard-provision");
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await look("overview-backfill");
  },
  async stuck() {
    await context.clearCookies();
    await page.goto(`${base}/sign-up`);
    await page.getByLabel("Agency").fill("Hafen Media");
    await page.getByLabel("Your name").fill("Sam Stuck");
    await page.getByLabel("E-mail").fill(`stuck+${Date.now()}@agency.example`);
    await page.getByLabel(/^Password/).fill("a long password");
    await agree();
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("button", { name: "Connect Display & Video 360" }).click();
    await page.getByRole("button", { name: "Allow" }).click();
    await page.getByRole("button", { name: /Select all active/ }).click();
    await page.getByRole("button", { name: "Bring them in" }).click();
    await page.getByRole("button", { name: "Start again" }).waitFor();
    await look("wizard-failed");
  },
  async app() {
    await signIn("demo@agency.example");
    await look("overview");
    await page.getByRole("button", { name: /Account of/ }).click();
    await look("user-menu");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await look("cheat-sheet");
    await page.keyboard.press("Escape");
    await page.goto(`${base}/?q=zzzz`);
    await page.getByText("Nothing matches").waitFor();
    await look("overview-no-match");
    await page.goto(`${base}/`);
    await page.getByRole("table").getByRole("link").first().click();
    await page.locator(".recharts-surface").first().waitFor();
    await look("campaign");
    await page.screenshot({ path: join(shots, "campaign-full.png"), fullPage: true });
    await page.getByText("View as table").click();
    await page.getByRole("table", { name: "Spend against plan by day" }).waitFor();
    await look("campaign-table");
    await page.goto(`${base}/approvals`);
    await page
      .getByRole("link", { name: /Daily budget/ })
      .first()
      .waitFor();
    await look("approvals");
    for (const id of ["pro_0", "pro_1", "pro_2", "pro_3"]) {
      await page.goto(`${base}/approvals/${id}`);
      await page.getByRole("article").waitFor();
      await look(`approval-${id}`);
    }
    await page.goto(`${base}/approvals/pro_5`);
    await page.getByRole("button", { name: "Reject" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Reject the proposal" }).click();
    await look("approval-reject");
    await page.keyboard.press("Escape");
    await page.goto(`${base}/approvals/pro_4`);
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("dialog").waitFor();
    await look("approval-confirm");
    await page.getByRole("button", { name: "Approve the change" }).click();
    await page.getByRole("alert").waitFor();
    await look("approval-conflict");
    await page.goto(`${base}/approvals/pro_0`);
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await page.getByRole("button", { name: "Approve the change" }).click();
    await page.getByText("being sent to the platform").waitFor();
    await page.screenshot({ path: join(shots, "approval-applying.png") });
    await page.getByText("Applied and verified:").waitFor();
    await look("approval-verified");
    await page.goto(`${base}/approvals?view=closed`);
    await look("approvals-history");
    await page.goto(`${base}/runs`);
    await page.getByRole("table").waitFor();
    await look("runs");
    await page.goto(`${base}/runs/cyc_5`);
    await page.getByRole("table").waitFor();
    await look("run");
    await page.goto(`${base}/connections`);
    await page.getByRole("article").waitFor();
    await look("connections");
    await page.goto(`${base}/audit`);
    await page.getByRole("table").waitFor();
    await look("audit");
    await page.goto(`${base}/settings`);
    await page.getByRole("button", { name: "Freeze changes…" }).waitFor();
    await look("settings");
    await page.goto(`${base}/settings/security`);
    await page.getByRole("button", { name: "Set up…" }).waitFor();
    await look("security");
    await page.goto(`${base}/nowhere`);
    await look("not-found");
  },
  async members() {
    await signIn("demo@agency.example");
    await page.goto(`${base}/members`);
    await page.getByRole("table", { name: "Members" }).waitFor();
    await look("members");
    await page.getByRole("combobox", { name: "Role of Ben Buyer" }).click();
    await look("members-role");
    await page.getByRole("option", { name: "Admin" }).click();
    await page.getByText("Saved").waitFor();
    const deactivate = page.getByRole("button", { name: "Deactivate Dana Desk…" });
    await deactivate.click();
    await page.getByRole("dialog").waitFor();
    await look("members-deactivate");
    await page.keyboard.press("Escape");
    await deactivate.and(page.locator(":focus")).waitFor();
    await deactivate.click();
    await page.getByRole("button", { name: "Deactivate", exact: true }).click();
    const again = page.getByRole("button", { name: "Let in again: Dana Desk" });
    await again.and(page.locator(":focus")).waitFor();
    await page.getByRole("combobox", { name: "Role of Ben Buyer" }).click();
    await page.getByRole("option", { name: "Viewer" }).click();
    await page.getByRole("combobox", { name: "Role of Ana Approver" }).click();
    await page.getByRole("option", { name: "Viewer" }).click();
    await page.getByRole("alert").waitFor();
    await look("members-last-admin");
    await page.getByRole("button", { name: "Edit Intern…" }).click();
    await page.getByRole("dialog").waitFor();
    await look("role-edit");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Delete Guest…" }).click();
    await page.getByRole("button", { name: "Delete the role" }).click();
    await page.getByRole("heading", { name: "Roles" }).and(page.locator(":focus")).waitFor();
    await signIn("viewer@agency.example");
    for (const path of ["members", "audit", "approvals/pro_0", "runs", "connections", "settings"]) {
      await page.goto(`${base}/${path}`);
      await look(`viewer-${path.split("/")[0]}`);
    }
    await signIn("planner@agency.example");
    await page.goto(`${base}/members`);
    await page.getByRole("table", { name: "Members" }).waitFor();
    await look("planner-members");
  },
  async people() {
    await signIn("demo@agency.example");
    await page.goto(`${base}/members`);
    await page.getByRole("table", { name: "Invitations" }).waitFor();
    await look("invitations");
    await page.getByRole("button", { name: "Invite…" }).click();
    await page.getByRole("dialog").getByLabel("E-mail").fill("failed@agency.example");
    await look("invite");
    await page.getByRole("button", { name: "Invite", exact: true }).click();
    const link = await page.getByRole("textbox", { name: "Link" }).inputValue();
    await look("invited");
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: /^Withdraw the invitation of eva/ }).click();
    await look("invitation-withdraw");
    await page.goto(`${base}/invitation#known`);
    await page.getByRole("button", { name: "Join as Ana Approver" }).waitFor();
    await look("invitation-signed-in");
    await page.goto(`${base}/settings/api-keys`);
    await page.getByRole("table", { name: "API keys" }).waitFor();
    await look("api-keys");
    await page.getByRole("button", { name: "New key…" }).click();
    await page.getByRole("button", { name: "Make the key" }).click();
    await look("api-key-errors");
    await page.getByRole("dialog").getByLabel("Name").fill("Looker");
    await page.getByRole("checkbox", { name: "See delivery" }).check();
    await page.getByRole("button", { name: "Make the key" }).click();
    await page.getByRole("textbox", { name: "Key" }).waitFor();
    await look("api-key-made");
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: /^Revoke Looker export/ }).click();
    await look("api-key-revoke");
    await context.clearCookies();
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByRole("button", { name: "Create the account and join" }).waitFor();
    await look("invitation-new");
    await page.goto(`${base}/invitation#known`);
    await page.getByRole("button", { name: "Join", exact: true }).waitFor();
    await look("invitation-account");
    await page.goto(`${base}/invitation#unknown`);
    await page.getByText("This invitation does not hold any more").waitFor();
    await look("invitation-unusable");
    await page.goto(`${base}/forgotten-password`);
    await page.getByLabel("E-mail").fill("demo@agency.example");
    await look("forgotten-password");
    await page.getByRole("button", { name: "Send the link" }).click();
    await page.getByText(/^If there is an account/).waitFor();
    await look("forgotten-password-sent");
    await page.goto(`${base}/password-reset#used`);
    await page.getByLabel(/^New password/).fill("password1234");
    await look("password-reset");
    await page.goto(`${base}/legal/terms`);
    await page.getByRole("heading", { name: "Terms of use" }).waitFor();
    await look("legal-terms");
    await page.goto(`${base}/sign-in`);
    await page.getByLabel("E-mail").fill("terms@agency.example");
    await page.getByLabel(/^Password/).fill("a long password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Please agree to go on" }).waitFor();
    await look("agreement");
  },
  async signing() {
    await signIn("demo@agency.example");
    await page.goto(`${base}/settings/security`);
    await page.getByRole("button", { name: "Set up…" }).click();
    await page
      .getByRole("dialog")
      .getByLabel(/^Password/)
      .fill("a long password");
    await look("second-factor-begin");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("img", { name: /^QR code/ }).waitFor();
    await look("second-factor-scan");
    await page.getByLabel(/^First code/).fill("123456");
    await page.getByRole("button", { name: "Turn it on" }).click();
    await page.getByRole("button", { name: "I have kept them" }).waitFor();
    await look("second-factor-codes");
    await page.getByRole("button", { name: "I have kept them" }).click();
    await page.getByText("10 recovery codes are left.").waitFor();
    await page.getByRole("button", { name: "Remove…" }).click();
    await page.getByRole("dialog").waitFor();
    await look("second-factor-remove");
    await page.goto(`${base}/settings/single-sign-on`);
    await page.getByRole("button", { name: "Save" }).click();
    await look("sso-missing");
    await page.getByLabel(/^Issuer/).fill("https://login.agency.example");
    await page.getByLabel(/^Client ID/).fill("clp");
    await page.getByLabel(/^Client secret/).fill("secret");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/^Saved/).waitFor();
    await look("sso");
    await page.getByRole("button", { name: "Remove…" }).click();
    await page.getByRole("dialog").waitFor();
    await look("sso-remove");
    await context.clearCookies();
    await page.goto(`${base}/sign-in`);
    await look("sign-in");
    await page.getByLabel("E-mail").fill("factor@agency.example");
    await page.getByLabel(/^Password/).fill("a long password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel(/^Code/).fill("000000");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await look("sign-in-code");
    await page.getByRole("button", { name: "Use a recovery code" }).click();
    await page.getByLabel(/^Recovery code/).fill("01234-56789-abcde-f0123");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await page.goto(`${base}/settings/security`);
    await page.getByText("Only 2 recovery codes are left").waitFor();
    await look("second-factor-few");
    await context.clearCookies();
    await page.goto(`${base}/sign-in?organisation=org_1`);
    await look("sign-in-link");
    await page.goto(`${base}/sign-in?problem=auth.sso_stranger`);
    await page.getByRole("button", { name: "Single sign-on" }).click();
    await look("sign-in-stranger");
    await page.getByLabel(/^Work e-mail/).fill("viewer@agency.example");
    await page.getByRole("button", { name: "Continue with single sign-on" }).click();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  },
  async narrow() {
    await signIn("demo@agency.example");
    await page.setViewportSize({ width: 360, height: 780 });
    for (const [name, path] of [
      ["narrow-overview", "/"],
      ["narrow-approval", "/approvals/pro_1"],
      ["narrow-runs", "/runs"],
      ["narrow-connections", "/connections"],
      ["narrow-members", "/members"],
      ["narrow-settings", "/settings"],
      ["narrow-security", "/settings/security"],
      ["narrow-sso", "/settings/single-sign-on"],
      ["narrow-api-keys", "/settings/api-keys"],
      ["narrow-invitation", "/invitation#known"],
    ]) {
      await page.goto(base + path);
      await look(name);
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      if (wide) {
        violations += 1;
        console.log(`✗ ${name}: the page scrolls sideways`);
      }
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  },
  async states() {
    await signIn("empty@agency.example");
    await look("empty-overview");
    for (const path of ["approvals", "runs", "connections", "audit"]) {
      await page.goto(`${base}/${path}`);
      await look(`empty-${path}`);
    }
    await signIn("broken@agency.example");
    await page.goto(`${base}/connections`);
    await page.getByRole("button", { name: "Reconnect" }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("Access was not granted on the platform's page.").waitFor();
    await look("reconnect-denied");
    for (const path of ["", "approvals", "runs", "connections"]) {
      await page.goto(`${base}/${path}`);
      await page.waitForTimeout(4_000);
      await look(`broken-${path || "overview"}`);
    }
  },
};

try {
  for (const [name, scene] of Object.entries(scenes)) if (!only || only === name) await scene();
} catch (error) {
  violations += 1;
  console.log(`✗ stopped at ${page.url()}: ${error.message}`);
  await page.screenshot({ path: join(shots, "stopped.png") });
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
for (const line of new Set(noise)) console.log(`! ${line}`);
console.log(`screens: axe_checks=${checks} violations=${violations}`);
process.exitCode = violations > 0 ? 1 : 0;
