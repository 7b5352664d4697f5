/**
 * What the walks in this folder have in common: a browser of one's own per person, named steps, a check of each screen
 * with axe in both colour schemes, and the ways that more than one walk goes. Everything is found by role and label, as a
 * person with a screen reader would.
 *
 *   CLP_URL      the running platform, such as http://127.0.0.1:8080 (required)
 *   CLP_SHOTS    a folder for the pictures (default: a temporary one)
 *   CHROMIUM     the browser (default: /usr/bin/chromium)
 *   CLP_SECONDS  how long data or a verified change may take (default: 180)
 *
 * A walk stops at the first thing that is wrong, with the address and a picture, and a non-zero exit code.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

export const base = process.env.CLP_URL?.replace(/\/$/, "");
if (!base) {
  console.error("browser: CLP_URL is not set: give the address of a running platform");
  process.exit(2);
}
const shots = process.env.CLP_SHOTS ?? mkdtempSync(join(tmpdir(), "clp-shots-"));
mkdirSync(shots, { recursive: true });

export const PATIENCE_MS = Number(process.env.CLP_SECONDS ?? 180) * 1_000;
export const patiently = { timeout: PATIENCE_MS };
export const MAX_TABS = 80;
const SCREEN_MS = 20_000;
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SCHEMES = ["light", "dark"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PLANNER = "planner@agency.example";

const count = { steps: 0, axe: 0, violations: 0 };
const faults = [];
const browsers = [];

/** A browser that nobody is signed in to, with the ways to find things in it. */
export async function openBrowser() {
  const profile = mkdtempSync(join(tmpdir(), "clp-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    reducedMotion: "reduce",
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(SCREEN_MS);
  page.on("pageerror", (error) => faults.push(`script error at ${page.url()}: ${error}`));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text()))
      faults.push(`policy violation at ${page.url()}: ${message.text()}`);
  });
  const browser = {
    context,
    page,
    profile,
    check: (name) => check(page, name),
    heading: (name, level = 1) => page.getByRole("heading", { level, name }),
    button: (name) => page.getByRole("button", { name, exact: true }),
    inbox: () => page.getByRole("region", { name: "Proposals", exact: true }),
    detail: () => page.getByRole("region", { name: "Chosen proposal", exact: true }),
    main: () => page.getByRole("navigation", { name: "Main" }),
  };
  browsers.push(browser);
  return browser;
}

/** One named step of a walk, timed. */
export async function step(name, work) {
  const began = Date.now();
  await work();
  if (faults.length > 0) throw new Error(faults.join("\n"));
  count.steps += 1;
  console.log(`browser: ${name} (${((Date.now() - began) / 1_000).toFixed(1)} s)`);
}

/** Checks what is on the screen in both schemes, and keeps a picture of each. */
async function check(page, name) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 200))));
    const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
    count.axe += 1;
    count.violations += violations.length;
    const number = String(count.axe).padStart(2, "0");
    await page.screenshot({ path: join(shots, `${number}-${name}-${colorScheme}.png`) });
    if (violations.length > 0) throw new Error(`axe, ${name}, ${colorScheme}:\n${described(violations)}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

function described(violations) {
  return violations
    .map(({ id, help, nodes }) => `  ${id}: ${help}\n${nodes.map((node) => `    ${node.target}`).join("\n")}`)
    .join("\n");
}

/** Walks the whole way, and says how it went. */
export async function walk(name, way) {
  try {
    await way();
    console.log(`browser: ${name} ok steps=${count.steps} axe_checks=${count.axe} violations=${count.violations}`);
  } catch (error) {
    console.error(`browser: ${name} FAILED after step ${count.steps}\n${error.message}`);
    for (const fault of faults) console.error(fault);
    for (const [index, { page }] of browsers.entries()) {
      const picture = join(shots, `failed-${index + 1}.png`);
      await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
      console.error(`browser: ${index + 1} is at ${page.url()}, picture ${picture}`);
    }
    console.error(`browser: axe_checks=${count.axe} violations=${count.violations}`);
    process.exitCode = 1;
  } finally {
    for (const { context, profile } of browsers) {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    }
  }
}

/** Where the keyboard is. */
export function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const text = element?.getAttribute("aria-label") ?? element?.textContent ?? "";
    return { role: element?.getAttribute("role") ?? element?.tagName.toLowerCase() ?? "", text: text.trim() };
  });
}

export async function tabTo(page, wanted, name) {
  for (let tabs = 0; tabs < MAX_TABS; tabs += 1) {
    await page.keyboard.press("Tab");
    if (wanted(await focused(page))) return;
  }
  throw new Error(`${name} cannot be reached by Tab`);
}

// ---- ways that more than one walk goes ----

/** Fills in the form of a new agency, from the sign-up page on. */
export async function signUp({ page, button, heading }, person) {
  await page.getByRole("textbox", { name: "Agency" }).fill(person.agency);
  await page.getByRole("textbox", { name: "Your name" }).fill(person.name);
  await page.getByRole("textbox", { name: "E-mail" }).fill(person.email);
  await page.getByLabel(/^Password/).fill(person.password);
  await page.getByLabel("Reporting currency").selectOption("EUR");
  await page.getByLabel("Time zone").selectOption("Europe/Berlin");
  await agree(page);
  await button("Create account").click();
  await heading("Set up your dashboard").waitFor();
}

export async function agree(page) {
  await page.getByRole("link", { name: /^Read the terms/ }).waitFor();
  await page.getByRole("checkbox", { name: "I agree to the terms and the privacy notice" }).check();
}

/** Gives consent on the platform's page. */
export async function allow({ page, button, heading }, look = () => {}) {
  await page.getByRole("radio", { name: new RegExp(PLANNER) }).check();
  await look();
  await button("Allow").click();
  await heading("Choose the advertisers to bring in", 2).waitFor(patiently);
}

export async function selectAll({ page }) {
  await page.getByRole("button", { name: /^Select all active/ }).click();
  await page.getByRole("status").filter({ hasText: /[1-9]\d* of \d+ advertisers selected/ }).waitFor();
}

/** Asks the rules for proposals where none wait. */
export async function awaitProposals({ page, button, heading, inbox, main }) {
  await main().getByRole("link", { name: /^Approvals/ }).click();
  await heading("Approvals").waitFor();
  const first = inbox().getByRole("link").first();
  const nothing = page.getByText("Nothing to decide");
  await first.or(nothing).first().waitFor();
  if (await nothing.isVisible()) await button("Check pacing now").click();
  await first.waitFor(patiently);
}

/** Opens proposals until one may be approved: what a person who may decide would do. */
export async function openApprovable({ inbox, detail }) {
  const links = inbox().getByRole("link");
  for (let index = 0; index < (await links.count()); index += 1) {
    await links.nth(index).click();
    await detail().getByRole("article").waitFor();
    const approve = detail().getByRole("button", { name: "Approve", exact: true });
    if ((await approve.count()) > 0 && (await approve.isEnabled())) return approve;
  }
  throw new Error("no open proposal may be approved");
}

export async function verified({ detail }) {
  await detail().getByRole("status").filter({ hasText: "Applied and verified" }).waitFor(patiently);
}

export async function signOut({ page, heading }) {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await heading("Sign in").waitFor();
}
