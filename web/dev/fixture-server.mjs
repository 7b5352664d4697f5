#!/usr/bin/env node
/**
 * A development aid, and nothing more: serves dist/ and invented answers of the API, so that the screens can be
 * looked at without a platform behind them. The product never starts it, and no end-to-end test trusts it.
 *
 *   npm run build && node dev/fixture-server.mjs [port]
 *
 * State is in memory: sign-up → consent → advertisers → a few seconds of progress → a dashboard with proposals.
 * Signing up as stuck@… shows a setup that fails.
 * Signing in as empty@agency.example shows the empty states, as broken@agency.example the failed ones, as
 * viewer@agency.example what somebody sees who may only look; planner@… and approver@… may a little more.
 * demo@agency.example is a viewer in a second organisation; terms@… has not agreed to the terms that hold now.
 * factor@… is asked for a code when signing in: any six digits but 000000. A person whose e-mail begins with stranger@ or
 * unknown@ does not get in by single sign-on.
 * The link of an invitation holds until it is used; demo@agency.example is invited to another agency by #known.
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const PORT = Number(process.argv[2] ?? process.env.PORT ?? 4199);
const DIST = join(fileURLToPath(new URL("..", import.meta.url)), "dist");
const DAY = 86_400_000;
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const iso = (offset = 0) => new Date(Date.now() + offset).toISOString();
const dayAt = (offset) => new Date(Date.now() + offset * DAY).toISOString().slice(0, 10);
const eur = (amount, currency = "EUR") => ({ amount: amount.toFixed(2), currency });

const problem = (status, code, title, extra = {}) => ({
  type: `/problems/${code}`,
  code,
  title,
  status,
  unharmed: "Campaigns keep running as they are; nothing was changed on the platform.",
  next: "Try again in a minute.",
  request_id: `req_${randomUUID().slice(0, 8)}`,
  retryable: false,
  ...extra,
});

// ---- the invented world ----

const ACCOUNTS = [
  ["acc_1", "4100001", "Nordwind Outdoor", "Hafen Media Group", "EUR", "Europe/Berlin", "active"],
  [
    "acc_2",
    "4100002",
    "Kestrel Airlines",
    "Hafen Media Group",
    "USD",
    "America/New_York",
    "active",
  ],
  ["acc_3", "4100003", "Sakura Home", "Pacific Desk", "JPY", "Asia/Tokyo", "active"],
  ["acc_4", "4100004", "Old Mill Foods", "Pacific Desk", "EUR", "Europe/Berlin", "paused"],
].map(([id, platform_id, name, parent_name, currency, time_zone, status]) => ({
  id,
  platform_id,
  name,
  parent_name,
  currency,
  time_zone,
  status,
  selected: false,
}));

const NAMES = [
  "Brand Q4",
  "Winter Sale",
  "Always On",
  "Retargeting",
  "Launch",
  "Prospecting",
  "Video Reach",
];
const PACES = ["behind", "on_pace", "ahead", "on_pace", "behind", "on_pace", "not_judged"];
const INDEX = ["0.7312", "0.9841", "1.2406", "1.0123", "0.8655", "0.9602", null];

function pacingOf(budget, index, currency) {
  if (index === null) return null;
  const expected = budget * 0.52;
  const delivered = expected * Number(index);
  return {
    delivered: eur(delivered, currency),
    expected: eur(expected, currency),
    budget: eur(budget, currency),
    index,
    required_daily: eur((budget - delivered) / 21, currency),
    projected: eur(Math.min(budget * 1.2, delivered / 0.52), currency),
    as_of: iso(-9 * 60_000),
    finality: "intraday",
  };
}

function deliveredOf(pacing, budget, currency) {
  return {
    amount: pacing?.delivered ?? eur(budget / 9, currency),
    days: { first: dayAt(pacing ? -23 : -6), last: dayAt(-1) },
  };
}

function makeCampaigns() {
  const campaigns = [];
  for (const [a, account] of ACCOUNTS.slice(0, 3).entries()) {
    for (const [n, name] of NAMES.entries()) {
      const index = INDEX[(n + a) % 7];
      const budget = 18_000 + 7_350 * n + 4_000 * a;
      const pacing = pacingOf(budget, index, account.currency);
      const risk = pacing ? Math.abs(Number(pacing.projected.amount) - budget) : 0;
      campaigns.push({
        id: `ent_${a}${n}`,
        platform: "dv360",
        platform_id: String(51_000_000 + 100 * a + n),
        name: `${account.name.split(" ")[0]} ${name}`,
        account: { id: account.id, name: account.name },
        currency: account.currency,
        status: n === 6 ? "draft" : "active",
        first_day: dayAt(-23),
        last_day: dayAt(21),
        time_zone: account.time_zone,
        pace: PACES[(n + a) % 7],
        pacing,
        not_judged_because: pacing ? null : "history_missing",
        delivered: deliveredOf(pacing, budget, account.currency),
        lines: 3,
        risk: pacing ? eur(risk, account.currency) : null,
      });
    }
  }
  return campaigns.toSorted((x, y) => Number(y.risk?.amount ?? 0) - Number(x.risk?.amount ?? 0));
}

function linesOf(campaign, proposals) {
  return ["Desktop DE", "Mobile DE", "Connected TV"].map((name, n) => {
    const budget = Number(campaign.pacing?.budget.amount ?? 9_000) / 3;
    const index = campaign.pacing
      ? (Number(campaign.pacing.index) + (n - 1) * 0.06).toFixed(4)
      : null;
    const id = `${campaign.id}_${n}`;
    return {
      id,
      platform_id: String(91_000_000 + n),
      name: `${campaign.name} · ${name}`,
      order_name: `${campaign.name} IO`,
      status: "active",
      daily_budget: eur(budget / 45, campaign.currency),
      first_day: campaign.first_day,
      last_day: campaign.last_day,
      pace: campaign.pace,
      pacing: pacingOf(budget, index, campaign.currency),
      not_judged_because: campaign.not_judged_because,
      delivered: deliveredOf(pacingOf(budget, index, campaign.currency), budget, campaign.currency),
      open_proposal_id:
        proposals.find((p) => p.line.id === id && p.state === "proposed")?.id ?? null,
    };
  });
}

function seriesOf(campaign, proposals) {
  const budget = Number(campaign.pacing?.budget.amount ?? 0);
  const index = Number(campaign.pacing?.index ?? 1);
  let delivered = 0;
  const points = [];
  for (let day = -23; day <= 21; day++) {
    const planned = budget / 45;
    const wave = 1 + 0.22 * Math.sin(day * 0.9);
    const spent = day <= 0 ? planned * index * wave * (day === 0 ? 0.5 : 1) : null;
    delivered += spent ?? 0;
    points.push({
      day: dayAt(day),
      delivered: spent === null ? null : spent.toFixed(2),
      planned: planned.toFixed(2),
      delivered_cumulative: spent === null ? null : delivered.toFixed(2),
      planned_cumulative: (planned * (day + 24)).toFixed(2),
      finality: spent === null ? null : day === 0 ? "intraday" : day > -4 ? "provisional" : "final",
    });
  }
  return {
    currency: campaign.currency,
    time_zone: campaign.time_zone,
    as_of: iso(-9 * 60_000),
    points,
    markers: proposals
      .filter((p) => p.campaign.id === campaign.id)
      .map((p) => ({
        at: p.created_at,
        day: p.created_at.slice(0, 10),
        kind: p.state === "verified" ? "write_back" : "proposal",
        title: p.title,
        proposal_id: p.id,
      })),
  };
}

function makeProposals(campaigns) {
  return campaigns
    .filter((c) => c.pacing && c.pace !== "on_pace")
    .slice(0, 6)
    .map((campaign, n) => {
      const [line] = linesOf(campaign, []);
      const before = Number(line.daily_budget.amount);
      const step = campaign.pace === "behind" ? 0.3 : -0.18;
      const after = Math.round(before * (1 + step));
      const verb = step > 0 ? "Raise" : "Lower";
      return {
        id: `pro_${n}`,
        state: "proposed",
        title: `${verb} the daily budget of ${line.name}`,
        platform: "dv360",
        connection_id: "con_1",
        account: campaign.account,
        campaign: { id: campaign.id, name: campaign.name },
        line: { id: line.id, platform_id: line.platform_id, name: line.name },
        field: "daily_budget",
        field_title: "Daily budget",
        before: eur(before, campaign.currency),
        after: eur(after, campaign.currency),
        difference: eur(after - before, campaign.currency),
        percent: ((100 * (after - before)) / before).toFixed(1),
        limited: n === 0,
        change_hash: `hash-${n}`,
        exposure: step > 0 ? eur((after - before) * 21, campaign.currency) : null,
        why: {
          sentence: `Delivered ${Math.round(Number(line.pacing.index) * 100)} % of what was expected by now; the rule acts ${step > 0 ? "below 90 %" : "above 110 %"}.`,
          rule: { id: "rul_1", name: "Keep pace", version: 3 },
          pacing: line.pacing,
          pulls: 2,
          decided_at: iso(-11 * 60_000),
        },
        proposed_by: { kind: "rule", name: "Keep pace" },
        created_at: iso(-11 * 60_000),
        expires_at: iso(n === 1 ? 95_000 : (3 + n) * 3_600_000),
        decided_by: null,
        decided_at: null,
        live: {
          value: eur(n === 3 ? before + 25 : before, campaign.currency),
          read_at: iso(-40_000),
        },
        may_approve: n !== 2,
        may_not_approve_because:
          n === 2 ? "Policy “Four eyes”: a second person approves changes above 5,000." : null,
        history: [
          {
            at: iso(-11 * 60_000),
            event: "proposed",
            by: "Keep pace",
            sentence: "Proposed by the rule after the refresh of 15 minutes ago.",
          },
        ],
        problem: null,
      };
    });
}

function makeRuns() {
  return Array.from({ length: 46 }, (_, n) => {
    const failed = n === 17;
    const troubled = n === 5 || n === 23;
    const running = n === 0;
    return {
      id: `cyc_${n}`,
      kind: n === 3 ? "manual" : n % 7 === 2 ? "follow_up" : n === 45 ? "onboarding" : "scheduled",
      state: running ? "running" : failed ? "failed" : "done",
      started_at: iso(-n * 15 * 60_000 - 60_000),
      finished_at: running ? null : iso(-n * 15 * 60_000 - 40_000),
      seconds: running ? null : 4.2 + n / 10,
      sentence: running
        ? "Reading 2 reports."
        : failed
          ? "Stopped: the platform did not answer."
          : `Fetched 2 reports · ${1_200 + n} rows · 38 lines judged.`,
      pulls: { landed: 2, unchanged: 1, failed: troubled ? 1 : 0, open: running ? 2 : 0 },
      rows: { bronze: 1_248 + n, silver: 1_248, gold: 84 },
      problems: troubled
        ? [
            problem(502, "pull.failed", "One report did not arrive.", {
              next: "Nothing to do: the next run asks again.",
              retryable: true,
            }),
          ]
        : failed
          ? [problem(503, "platform.unreachable", "Display & Video 360 did not answer.")]
          : [],
    };
  });
}

const runDetail = (run) => ({
  ...run,
  steps: [
    { title: "Fetch", seconds: 1.8, sentence: "Fetched 2 reports from Display & Video 360." },
    { title: "Keep", seconds: 0.4, sentence: `${run.rows.bronze} rows kept as they came.` },
    {
      title: "Unify",
      seconds: 0.7,
      sentence: "Days 20–21 Nov replaced; totals equal the platform’s.",
    },
    {
      title: "Judge",
      seconds: 0.2,
      sentence: "38 lines judged: 9 behind, 4 ahead. 1 new proposal.",
    },
  ],
  pulls: ["tick", "lookback", "backfill"].map((kind, n) => ({
    id: `pul_${n}`,
    kind,
    platform: "dv360",
    days: { first: dayAt(-1 - n), last: dayAt(0) },
    state: ["landed", "fetched", "requested"][n],
    rows: n === 0 ? run.rows.bronze : null,
    requested_at: run.started_at,
    landed_at: n < 2 ? run.started_at : null,
    problem: null,
  })),
});

// ---- members and roles ----

const LOOK = ["delivery.read", "runs.read", "connections.read", "rules.read", "proposals.read"];
const EVERYTHING = [
  ...LOOK,
  "runs.start",
  "connections.manage",
  "rules.manage",
  "rules.evaluate",
  "proposals.decide",
  "proposals.withdraw",
  "changes.freeze",
  "members.read",
  "members.manage",
  "api_keys.manage",
  "sign_in.manage",
  "audit.read",
];

const makeRoles = () =>
  [
    ["admin", "Admin", EVERYTHING],
    ["approver", "Approver", [...LOOK, "proposals.decide", "members.read"]],
    [
      "planner",
      "Planner",
      [...LOOK, "runs.start", "rules.evaluate", "proposals.withdraw", "members.read"],
    ],
    ["viewer", "Viewer", LOOK],
    ["intern", "Intern", LOOK, false],
    ["guest", "Guest", ["delivery.read"], false],
  ].map(([name, title, permissions, built_in = true]) => ({ name, title, permissions, built_in }));

const makeMembers = (user, ownRole) =>
  [
    [user.id, user.name, user.email, ownRole],
    ["usr_2", "Ben Buyer", "ben@agency.example", "approver"],
    ["usr_3", "Cem Campaigns", "cem@agency.example", "intern", false],
    ["usr_4", "Dana Desk", "dana@agency.example", "planner"],
  ].map(([id, name, email, role, active = true]) => ({
    id,
    name,
    email,
    role,
    active,
    joined_at: iso(-40 * DAY),
    is_you: id === user.id,
  }));

const roleOf = (org) => {
  const { role } = org.members.find((member) => member.is_you);
  return org.roles.find(({ name }) => name === role);
};

const rolesOf = (org) =>
  org.roles.map((role) => ({
    ...role,
    members: org.members.filter((m) => m.active && m.role === role.name).length,
  }));

function updateMember(org, id, change) {
  const member = org.members.find((one) => one.id === id);
  if (!member) return [404, problem(404, "request.not_found", "There is no such member.")];
  const admins = org.members.filter((one) =>
    one === member
      ? (change.role ?? one.role) === "admin" && (change.active ?? one.active)
      : one.role === "admin" && one.active,
  );
  if (admins.length === 0)
    return [
      409,
      problem(409, "members.last_admin", "This is the organisation's last admin who can sign in.", {
        unharmed: "The role and the access stay as they are.",
        next: "Make somebody else an admin first.",
      }),
    ];
  return [200, Object.assign(member, change)];
}

function changeRole(method, org, name, input) {
  if (method === "DELETE") {
    if (org.members.some((member) => member.role === name))
      return [409, problem(409, "members.role_in_use", "Somebody has this role.")];
    org.roles = org.roles.filter((role) => role.name !== name);
    return [204, ""];
  }
  if (method === "PUT") {
    Object.assign(
      org.roles.find((role) => role.name === name),
      input,
    );
    return [200, rolesOf(org).find((role) => role.name === name)];
  }
  const made = input.title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
  if (org.roles.some((role) => role.name === made))
    return [409, problem(409, "request.conflict", `There is a role called ${made} already.`)];
  org.roles.push({ name: made, built_in: false, ...input });
  return [201, rolesOf(org).at(-1)];
}

// ---- invitations, keys and terms ----

const TERMS = {
  terms: { version: "1", url: "/legal/terms" },
  privacy: { version: "1", url: "/legal/privacy" },
};

const AGREED = (body) =>
  body.terms_version === TERMS.terms.version && body.privacy_version === TERMS.privacy.version;

const termsChanged = () => [
  409,
  problem(409, "auth.terms_changed", "Our terms or our privacy notice changed a moment ago."),
];

const weak = (password, pointer) =>
  /^password|^1234/.test(password)
    ? [
        422,
        problem(422, "request.invalid", "Some of what was sent can't be used.", {
          errors: [{ pointer, message: "This is too easy to guess." }],
        }),
      ]
    : null;

/** Invitations by the secret of their link. */
const invited = new Map();

function invite(org, { email, role }) {
  if (org.members.some((member) => member.email === email))
    return [
      422,
      problem(422, "request.invalid", "Some of what was sent can't be used.", {
        errors: [
          { pointer: "/email", message: "This person belongs to the organisation already." },
        ],
      }),
    ];
  org.invitations = org.invitations.filter((one) => one.email !== email);
  const secret = randomUUID().replaceAll("-", "");
  const mail = /^(failed|off)@/.exec(email)?.[1] ?? "sent";
  const invitation = {
    id: `inv_${secret.slice(0, 6)}`,
    email,
    role,
    role_title: org.roles.find(({ name }) => name === role).title,
    invited_by: org.user.name,
    sent_at: iso(),
    expires_at: iso(7 * DAY),
    expired: false,
    mailed: mail === "sent",
  };
  org.invitations.unshift(invitation);
  invited.set(secret, { org, invitation });
  return [201, { invitation, link: `http://127.0.0.1:${PORT}/invitation#${secret}`, mail }];
}

const makeInvitations = () =>
  [
    ["inv_1", "eva@agency.example", true, false, 6],
    ["inv_2", "fin@agency.example", false, false, 2],
    ["inv_3", "gil@agency.example", true, true, -1],
  ].map(([id, email, mailed, expired, days]) => ({
    id,
    email,
    role: "viewer",
    role_title: "Viewer",
    invited_by: "Ben Buyer",
    sent_at: iso((days - 7) * DAY),
    expires_at: iso(days * DAY),
    expired,
    mailed,
  }));

const UNUSABLE = () => [
  410,
  problem(410, "auth.invitation_unusable", "This invitation does not hold any more."),
];

/** The open invitation of a link. */
function invitationOf(token) {
  const found = invited.get(token);
  return found?.org.invitations.includes(found.invitation) ? found : null;
}

const lookAt = ({ org, invitation }) => ({
  organisation: org.organisation.name,
  email: invitation.email,
  role_title: invitation.role_title,
  invited_by: invitation.invited_by,
  expires_at: invitation.expires_at,
  has_account: users.has(invitation.email) || invitation.email === "demo@agency.example",
});

/** The organisation as who joins sees it: as a fixture, a copy with them in it. */
function joinAs({ org, invitation }, name) {
  org.invitations = org.invitations.filter((one) => one !== invitation);
  const user = { id: `usr_${invitation.id}`, email: invitation.email, name };
  const { id, email } = user;
  const member = { id, name, email, role: invitation.role, active: true, joined_at: iso() };
  org.members.push({ ...member, is_you: false });
  const members = org.members.map((one) => ({ ...one, is_you: one.id === id }));
  return { ...org, user, members, sessions: [], others: [] };
}

const makeKeys = () =>
  [
    ["key_1", "Looker export", "clp_Ab3dEf", "active", iso(-7 * 60_000), 80],
    ["key_2", "Nightly budget check", "clp_x91KpQ", "expired", iso(-20 * DAY), -3],
    ["key_3", "Ben's notebook", "clp_77hZbb", "maker_left", null, 30],
    ["key_4", "Lost laptop", "clp_mM02sd", "revoked", iso(-40 * DAY), 200],
  ].map(([id, name, beginning, state, last_used_at, days]) => ({
    id,
    name,
    beginning,
    permissions: ["delivery.read", "proposals.read"],
    made_by: id === "key_3" ? "Ben Buyer" : "Ana Approver",
    state,
    created_at: iso(-60 * DAY),
    expires_at: iso(days * DAY),
    last_used_at,
  }));

function makeKey(org, { name, permissions, expires_in_days }) {
  const secret = `clp_${randomUUID().replaceAll("-", "")}`;
  const key = {
    id: `key_${secret.slice(4, 10)}`,
    name,
    beginning: secret.slice(0, 10),
    permissions,
    made_by: org.user.name,
    state: "active",
    created_at: iso(),
    expires_at: iso(expires_in_days * DAY),
    last_used_at: null,
  };
  org.keys.unshift(key);
  return [201, { key, secret }];
}

// ---- second factor and single sign-on ----

const refusedField = (pointer, message) => [
  422,
  problem(422, "request.invalid", "Some of what was sent can't be used.", {
    errors: [{ pointer, message }],
  }),
];

const makeCodes = () =>
  Array.from({ length: 10 }, () => {
    const [a, b] = [randomUUID(), randomUUID()].map((id) => id.replaceAll("-", ""));
    return [a.slice(0, 5), a.slice(5, 10), b.slice(0, 5), b.slice(5, 10)].join("-");
  });

function secondFactor(org, method, id, body) {
  if (method === "GET") return [200, org.factor];
  if (method === "PUT") {
    if (body.code === "000000")
      return refusedField("/code", "This is not the code that belongs to this secret now.");
    org.factor = { on: true, recovery_codes_left: 10 };
    return [200, { recovery_codes: makeCodes() }];
  }
  if (body.password === "wrong") return refusedField("/password", "This is not your password.");
  if (id === "removal") {
    if (body.code === "000000")
      return refusedField("/code", "This code is not right, or was used before.");
    org.factor = { on: false, recovery_codes_left: 0 };
    return [204, ""];
  }
  const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
  const name = encodeURIComponent(`Campaign Lifecycle Platform:${org.user.email}`);
  const url = `otpauth://totp/${name}?secret=${secret}&issuer=Campaign%20Lifecycle%20Platform`;
  return [201, { secret, url }];
}

function sso(org, method, body) {
  if (method === "GET") {
    const origin = `http://127.0.0.1:${PORT}`;
    const sign_in_url = `${origin}/sign-in?organisation=${org.organisation.id}`;
    return [
      200,
      { provider: org.provider, redirect_uri: `${origin}/api/v1/sso/callback`, sign_in_url },
    ];
  }
  if (method === "PUT" && !body.issuer.startsWith("https://"))
    return refusedField("/issuer", "This must be a public address that begins with https://.");
  const { client_secret: _, ...provider } = body;
  org.provider = method === "PUT" ? provider : null;
  return [204, ""];
}

/** Where the browser goes for single sign-on: back here at once, signed in or not. */
const ssoPage = ({ email = "" }) =>
  email.startsWith("unknown@")
    ? [
        404,
        problem(404, "auth.sso_unknown", "No single sign-on is set up for this e-mail.", {
          unharmed: "Nobody was signed in.",
          next: "Sign in with your password.",
        }),
      ]
    : [
        200,
        {
          redirect_url: email.startsWith("stranger@")
            ? "/sign-in?problem=auth.sso_stranger"
            : "/fixture/identity",
        },
      ];

/** A code is asked for when the password is right. */
const codeProblem = (code) =>
  code
    ? problem(401, "auth.wrong_code", "This code is not right, or was used before.", {
        unharmed: "Nobody was signed in and nothing was changed.",
        next: "Wait for your authenticator's next code, or use a recovery code.",
      })
    : problem(401, "auth.code_needed", "This account is protected by a second factor.");

// ---- sessions and onboarding ----

const sessions = new Map();
const users = new Map();

const sessionId = (token) => `ses_${token.slice(0, 8)}`;

const sessionOf = (token, began = 0) => ({
  id: sessionId(token),
  created_at: iso(began),
  expires_at: iso(began + 14 * DAY),
});

/** Ends a session; false when the organisation has none of this id. */
function endSession(org, id) {
  const ended = org.sessions.some((session) => session.id === id);
  org.sessions = org.sessions.filter((session) => session.id !== id);
  for (const token of sessions.keys()) if (sessionId(token) === id) sessions.delete(token);
  return ended;
}

function newOrganisation(input, kind = "full") {
  const campaigns = kind === "empty" ? [] : makeCampaigns();
  const user = { id: "usr_1", email: input.email, name: input.name };
  const role = makeRoles().some(({ name }) => name === kind) ? kind : "admin";
  return {
    kind,
    user,
    /** The others that this person belongs to. */
    others: [],
    sessions: [sessionOf("elsewhere", -3 * DAY)],
    invitations: kind === "empty" ? [] : makeInvitations(),
    keys: kind === "empty" ? [] : makeKeys(),
    agreed: kind !== "terms",
    factor:
      kind === "factor"
        ? { on: true, recovery_codes_left: 2 }
        : { on: false, recovery_codes_left: 0 },
    provider: null,
    members: makeMembers(user, role),
    roles: makeRoles(),
    organisation: {
      id: `org_${input.organisation_name}`,
      name: input.organisation_name,
      reporting_currency: input.reporting_currency,
      time_zone: input.time_zone,
      frozen: false,
    },
    onboarding: null,
    campaigns,
    proposals: kind === "empty" ? [] : makeProposals(campaigns),
    runs: kind === "empty" ? [] : makeRuns(),
    evaluations: new Map(),
  };
}

const STEPS = [
  ["connect", "Connect to Display & Video 360"],
  ["verify", "Check the access"],
  ["discover", "Find advertisers"],
  ["choose", "Choose advertisers"],
  ["provision", "Create tables and default rules"],
  ["schedule", "Start the 15-minute schedule"],
  ["first_slice", "Read the last 7 days"],
  ["backfill", "Read the last 90 days"],
];

/** The onboarding as it stands now: a function of the moments at which the person answered. */
function onboardingView(org) {
  const o = org.onboarding;
  if (!o) return null;
  const since = (from) => (from ? (Date.now() - from) / 1_000 : 0);
  let state = "connecting";
  let reached = 0;
  if (o.cancelled) state = "cancelled";
  else if (o.chosenAt) {
    const t = since(o.chosenAt);
    reached = t < 2 ? 4 : t < 3 ? 5 : t < 8 ? 6 : t < 40 ? 7 : 8;
    state = ["provisioning", "provisioning", "first_slice", "ready", "done"][reached - 4];
  } else if (o.consentAt) {
    const t = since(o.consentAt);
    reached = t < 1 ? 1 : t < 2.5 ? 2 : 3;
    state = reached < 3 ? "verifying" : "choosing_accounts";
  }
  if (org.user.email.startsWith("stuck") && reached >= 4) {
    reached = 4;
    state = "failed";
  }
  const measured = {
    first_slice: [Math.min(7, Math.floor((since(o.chosenAt) - 3) * 1.5)), 7],
    backfill: [Math.floor(since(o.chosenAt) * 2.2), 90],
  };
  return {
    id: "onb_1",
    state,
    platform: "dv360",
    connection_id: o.consentAt ? "con_1" : null,
    started_at: o.startedAt,
    dashboard_ready_at: reached >= 7 ? iso() : null,
    can_cancel: reached < 7 && !o.cancelled,
    steps: STEPS.map(([key, title], n) => ({
      key,
      title,
      state:
        n < reached
          ? "done"
          : n === reached && state === "failed"
            ? "failed"
            : n === reached
              ? key === "choose"
                ? "waiting"
                : "running"
              : "waiting",
      detail: n === reached && key === "first_slice" ? "1,204 rows so far" : null,
      done: n === reached && measured[key] ? Math.max(0, measured[key][0]) : null,
      total: n === reached && measured[key] ? measured[key][1] : null,
      seconds: n < reached ? 0.8 + n : null,
    })),
    accounts:
      reached >= 3
        ? ACCOUNTS.map((a) => ({ ...a, selected: o.chosen?.includes(a.id) ?? false }))
        : [],
    problem:
      state === "failed"
        ? problem(502, "platform.rejected", "The platform refused the report.", {
            next: "Start again. If it happens again, ask the platform’s support.",
          })
        : null,
  };
}

const meOf = (org) => ({
  user: org.user,
  organisation: org.organisation,
  onboarding: onboardingView(org),
  open_proposals: org.proposals.filter((p) => p.state === "proposed").length,
  role: roleOf(org).name,
  permissions: roleOf(org).permissions,
  agreed: org.agreed,
  now: new Date().toISOString(),
});

function finishedOrganisation(email, kind, organisation_name = "Hafen Media") {
  const org = newOrganisation(
    {
      email,
      name: "Ana Approver",
      organisation_name,
      reporting_currency: "EUR",
      time_zone: "Europe/Berlin",
    },
    kind,
  );
  org.onboarding = { startedAt: iso(-DAY), consentAt: 1, chosenAt: 1, chosen: ["acc_1"] };
  return org;
}

function signedInAs(email, kind) {
  const org = finishedOrganisation(email, kind);
  if (kind === "demo") {
    const [, { invitation }] = invite(
      finishedOrganisation("ada@agency.example", "full", "Alster"),
      {
        email,
        role: "viewer",
      },
    );
    const found = [...invited.values()].find((one) => one.invitation === invitation);
    invited.set("known", found);
  } else return org;
  const second = finishedOrganisation(email, "viewer", "Elbe Agency");
  org.others = [second];
  second.others = [org];
  return org;
}

// ---- the routes ----

const page = (items, query) => {
  const from = Number(query.get("cursor") ?? 0);
  const limit = Math.min(Number(query.get("limit") ?? 50), 20);
  const next = from + limit < items.length ? String(from + limit) : null;
  return { items: items.slice(from, from + limit), next_cursor: next };
};

/** An approved change walks on by itself. */
function walk(proposal) {
  const say = (state, sentence, delay) =>
    setTimeout(() => {
      proposal.state = state;
      proposal.history.push({ at: iso(), event: state, by: null, sentence });
      if (state === "verified") proposal.live = { value: proposal.after, read_at: iso() };
    }, delay);
  say("applying", "Sent to Display & Video 360.", 1_500);
  say("verified", "Read back: the platform shows the new value.", 4_500);
}

function decide(org, id, verb, body) {
  const proposal = org.proposals.find((p) => p.id === id);
  if (!proposal) return [404, problem(404, "proposal.not_found", "This proposal does not exist.")];
  if (proposal.state !== "proposed" || proposal.id === "pro_4") {
    if (proposal.state === "proposed") {
      Object.assign(proposal, {
        state: "rejected",
        decided_by: { name: "Ben Buyer" },
        decided_at: iso(),
      });
      proposal.history.push({
        at: iso(),
        event: "rejected",
        by: "Ben Buyer",
        sentence: "Rejected: budget is being moved.",
      });
    }
    return [
      409,
      problem(409, "write_back.already_decided", "Ben Buyer has already decided this proposal.", {
        next: "Look at what was decided. Nothing is left to do.",
      }),
    ];
  }
  const outcome = { approve: "approved", reject: "rejected", cancel: "cancelled" }[verb];
  Object.assign(proposal, {
    state: outcome,
    decided_by: { name: org.user.name },
    decided_at: iso(),
  });
  const sentence =
    verb === "approve"
      ? "Approved."
      : `${outcome[0].toUpperCase()}${outcome.slice(1)}: ${body.reason}`;
  proposal.history.push({ at: iso(), event: outcome, by: org.user.name, sentence });
  if (verb === "approve") walk(proposal);
  return [200, proposal];
}

const connectionOf = (org) => ({
  id: "con_1",
  platform: "dv360",
  title: "Display & Video 360",
  status: org.kind === "broken" ? "needs_reauth" : "healthy",
  who_acts: org.kind === "broken" ? "you" : null,
  connected_by: { name: "planner@agency.example" },
  connected_at: iso(-DAY),
  scopes: [
    "https://www.googleapis.com/auth/display-video",
    "https://www.googleapis.com/auth/doubleclickbidmanager",
  ],
  fresh_as_of: iso(-9 * 60_000),
  accounts: ACCOUNTS.map((a) => ({ ...a, selected: true })),
  reconnection: org.reconnection ?? null,
  problem:
    org.kind === "broken"
      ? problem(
          401,
          "connection.needs_reauth",
          "Display & Video 360 no longer accepts the access that was given.",
          { next: "Reconnect with a user who may see the advertisers." },
        )
      : null,
});

function route(method, path, query, body, org, token) {
  const [, noun, id, verb] = path.split("/");
  if (
    org.kind === "broken" &&
    ["overview", "campaigns", "proposals", "runs", "audit"].includes(noun)
  )
    return [
      503,
      problem(503, "lake.unavailable", "The figures cannot be read right now.", {
        retryable: true,
      }),
    ];
  switch (`${method} /${noun}`) {
    case "GET /me":
      return [200, meOf(org)];
    case "GET /organisations":
      return [
        200,
        {
          items: [org, ...org.others].map((one) => ({
            id: one.organisation.id,
            name: one.organisation.name,
            role: roleOf(one).name,
            current: one === org,
          })),
        },
      ];
    case "GET /sessions":
      return [
        200,
        {
          items: org.sessions.map((session) => ({
            ...session,
            current: session.id === sessionId(token),
          })),
        },
      ];
    case "PUT /terms":
      if (!AGREED(body)) return termsChanged();
      org.agreed = true;
      return [204, ""];
    case "PUT /password":
      if (body.current === "wrong")
        return [
          422,
          problem(422, "request.invalid", "Some of what was sent can't be used.", {
            errors: [{ pointer: "/current", message: "This is not your password." }],
          }),
        ];
      return weak(body.new, "/new") ?? [204, ""];
    case "GET /invitations":
      return [200, { items: org.invitations }];
    case "POST /invitations":
      return invite(org, body);
    case "DELETE /invitations":
      org.invitations = org.invitations.filter((one) => one.id !== id);
      return [204, ""];
    case "GET /second-factor":
    case "POST /second-factor":
    case "PUT /second-factor":
      return secondFactor(org, method, id, body);
    case "GET /sso":
    case "PUT /sso":
    case "DELETE /sso":
      return sso(org, method, body);
    case "GET /api-keys":
      return [200, { items: org.keys }];
    case "POST /api-keys":
      return makeKey(org, body);
    case "DELETE /api-keys":
      org.keys.find((key) => key.id === id).state = "revoked";
      return [204, ""];
    case "DELETE /sessions":
      return endSession(org, id)
        ? [204, ""]
        : [404, problem(404, "not_found", "There is no such session.")];
    case "GET /onboarding":
      return org.onboarding
        ? [200, onboardingView(org)]
        : [404, problem(404, "onboarding.not_found", "No setup has begun.")];
    case "POST /onboarding":
      if (id === "cancel") org.onboarding.cancelled = true;
      else if (id === "consent") return [200, { redirect_url: "/fixture/consent" }];
      else if (!org.onboarding || org.onboarding.cancelled || org.user.email.startsWith("stuck"))
        org.onboarding = { startedAt: iso() };
      return [201, onboardingView(org)];
    case "PUT /onboarding":
      Object.assign(org.onboarding, { chosenAt: Date.now(), chosen: body.account_ids });
      return [200, onboardingView(org)];
    case "GET /connections":
      return [200, { items: org.kind === "empty" ? [] : [connectionOf(org)] }];
    case "POST /connections":
      return [200, { redirect_url: "/fixture/consent?back=/connections%3Freconnected=con_1" }];
    case "GET /problems":
      return [200, problem(403, id, "Access was not granted on the platform's page.")];
    case "PUT /organisation":
      org.organisation.frozen = body.frozen;
      return [200, org.organisation];
    case "GET /overview":
      return [200, overviewOf(org)];
    case "GET /campaigns":
      return campaignRoute(org, id, verb, query);
    case "GET /rules":
      return [
        200,
        {
          items: [
            {
              id: "rul_1",
              kind: "pacing",
              name: "Keep pace",
              enabled: true,
              settings: {
                behind_below: "0.90",
                ahead_above: "1.10",
                max_step: "0.30",
                min_step: "0.02",
                needs: "provisional",
              },
              sentence: "Propose a new daily budget below 90 % or above 110 %.",
              version: 3,
            },
          ],
        },
      ];
    case "POST /evaluations":
      return [202, { id: "eva_1" }];
    case "GET /evaluations":
      return [
        200,
        {
          id,
          state: "done",
          started_at: iso(),
          finished_at: iso(),
          lines_judged: 38,
          proposals_made: 0,
          not_judged: [{ reason: "history_missing", lines: 9 }],
          problem: null,
        },
      ];
    case "GET /proposals": {
      if (id) {
        const one = org.proposals.find((p) => p.id === id);
        return one
          ? [200, one]
          : [404, problem(404, "proposal.not_found", "This proposal does not exist.")];
      }
      const open = new Set(["proposed", "approved", "applying", "unknown"]);
      return [
        200,
        page(
          org.proposals.filter((p) => open.has(p.state) === (query.get("state") !== "closed")),
          query,
        ),
      ];
    }
    case "POST /proposals":
      return decide(org, id, verb, body);
    case "GET /runs": {
      const state = query.get("state");
      if (id) return [200, runDetail(org.runs.find((run) => run.id === id) ?? org.runs[0])];
      return [
        200,
        page(
          org.runs.filter((run) => !state || run.state === state),
          query,
        ),
      ];
    }
    case "POST /runs":
      return [202, { id: null }];
    case "GET /members":
      return [200, { items: org.members }];
    case "PATCH /members":
      return updateMember(org, id, body);
    case "GET /roles":
      return [200, { items: rolesOf(org) }];
    case "POST /roles":
    case "PUT /roles":
    case "DELETE /roles":
      return changeRole(method, org, id, body);
    case "GET /audit":
      return [200, page(org.kind === "empty" ? [] : auditWanted(org, query), query)];
    case "GET /audit/export":
      return [200, "id,at,actor_kind,actor,action\n"];
    default:
      return [404, problem(404, "http.not_found", "There is nothing at this address.")];
  }
}

function campaignRoute(org, id, verb, query) {
  if (!id) {
    const q = (query.get("q") ?? "").toLowerCase();
    const pace = query.get("pace");
    return [
      200,
      page(
        org.campaigns.filter((c) => (!pace || c.pace === pace) && c.name.toLowerCase().includes(q)),
        query,
      ),
    ];
  }
  const campaign = org.campaigns.find((c) => c.id === id);
  if (!campaign) return [404, problem(404, "campaign.not_found", "This campaign does not exist.")];
  if (verb === "series") return [200, seriesOf(campaign, org.proposals)];
  return [200, { ...campaign, line_items: linesOf(campaign, org.proposals) }];
}

function overviewOf(org) {
  const count = (pace) => org.campaigns.filter((c) => c.pace === pace).length;
  const totals = [...new Set(org.campaigns.map((c) => c.currency))].map((currency) => {
    const all = org.campaigns.filter((c) => c.currency === currency);
    const own = all.filter((c) => c.pacing);
    const sum = (key) => own.reduce((total, c) => total + Number(c.pacing[key].amount), 0);
    const delivered = all.reduce((total, c) => total + Number(c.delivered.amount.amount), 0);
    return {
      currency,
      delivered: eur(delivered, currency),
      days: { first: dayAt(-23), last: dayAt(-1) },
      judged: {
        lines: 3 * own.length,
        delivered: eur(sum("delivered"), currency),
        expected: eur(sum("expected"), currency),
        budget: eur(sum("budget"), currency),
        index: (sum("delivered") / sum("expected")).toFixed(4),
      },
    };
  });
  return {
    totals,
    freshness:
      org.kind === "empty"
        ? { as_of: null, state: "none", next_run_at: iso(300_000) }
        : { as_of: iso(-9 * 60_000), state: "fresh", next_run_at: iso(300_000) },
    campaigns: {
      total: org.campaigns.length,
      behind: count("behind"),
      on_pace: count("on_pace"),
      ahead: count("ahead"),
      not_judged: count("not_judged"),
    },
    open_proposals: meOf(org).open_proposals,
    problems: [],
  };
}

const auditWanted = (org, query) => {
  const [words, noun] = [query.get("text") ?? "", query.get("action") ?? ""];
  return auditOf(org).filter(
    (line) =>
      line.action.startsWith(noun) &&
      `${line.subject.title} ${line.actor.name}`.toLowerCase().includes(words.toLowerCase()),
  );
};

const auditOf = (org) => [
  ...org.proposals.flatMap((p) =>
    p.history.map((event, n) => ({
      id: `aud_${p.id}_${n}`,
      at: event.at,
      actor: {
        kind: event.by === "Keep pace" ? "rule" : event.by ? "person" : "system",
        name: event.by ?? "Platform",
      },
      action: `proposal.${{ proposed: "create", approved: "approve", rejected: "reject", cancelled: "cancel", applying: "begin", verified: "read_after" }[event.event]}`,
      subject: { kind: "proposal", id: p.id, title: p.title },
      before: event.event === "verified" ? p.before : null,
      after: event.event === "verified" ? p.after : null,
    })),
  ),
  {
    id: "aud_x",
    at: iso(-DAY),
    origin: { address: "203.0.113.7", api_key: null },
    actor: { kind: "person", name: org.user.name },
    action: "connection.connect",
    subject: { kind: "connection", id: "con_1", title: "Display & Video 360" },
    before: null,
    after: { accounts: 3, scopes: ["display-video"] },
  },
];

const CONSENT = (
  back,
) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Consent (fixture)</title></head>
<body><main><h1>Allow the platform to use your account?</h1><form method="post" action="/fixture/consent">
<input type="hidden" name="back" value="${back}"><fieldset><legend>Choose an account</legend>
<p><label style="display:block;min-height:28px"><input type="radio" name="account" value="planner" checked> Paula Planner planner@agency.example</label></p>
<p><label style="display:block;min-height:28px"><input type="radio" name="account" value="intern"> Ian Intern intern@agency.example</label></p></fieldset>
<p><button name="decision" value="cancel">Cancel</button> <button name="decision" value="allow">Allow</button></p></form></main></body></html>`;

/** A reconnection is settled here; its page says how. */
function returnTo(back, org, denied) {
  const reconnects = back.includes("reconnected=");
  if (reconnects && org)
    org.reconnection = denied
      ? {
          state: "refused",
          at: iso(),
          problem: problem(
            403,
            "connection.consent_denied",
            "Access was not granted on the platform's page.",
          ),
        }
      : { state: "done", at: iso() };
  if (!denied) return back;
  return `${back}${reconnects ? "&" : "?"}problem=connection.consent_denied`;
}

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

createServer(async (request, response) => {
  const url = new URL(request.url, "http://fixture");
  const send = (status, body, headers = {}) => {
    const json = typeof body === "object";
    response.writeHead(status, {
      "Content-Type": json
        ? status >= 400
          ? "application/problem+json"
          : "application/json"
        : "text/html; charset=utf-8",
      ...headers,
    });
    response.end(json ? JSON.stringify(body) : body);
  };
  const token = /clp_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
  const org = sessions.get(token);
  const text = await new Promise((done) => {
    let all = "";
    request.on("data", (chunk) => (all += chunk)).on("end", () => done(all));
  });
  if (url.pathname === "/fixture/consent") {
    if (request.method === "GET")
      return send(200, CONSENT(url.searchParams.get("back") ?? "/onboarding"));
    const form = new URLSearchParams(text);
    const denied = form.get("decision") !== "allow";
    if (!denied && org?.onboarding && !org.onboarding.consentAt)
      org.onboarding.consentAt = Date.now();
    return send(303, "", {
      Location: returnTo(form.get("back"), org, denied),
    });
  }
  if (url.pathname === "/fixture/identity") {
    const made = randomUUID().replaceAll("-", "");
    const entered = signedInAs("viewer@agency.example", "viewer");
    sessions.set(made, entered);
    entered.sessions.push(sessionOf(made));
    return send(303, "", {
      Location: "/",
      "Set-Cookie": `clp_session=${made}; HttpOnly; SameSite=Lax; Path=/`,
    });
  }
  if (url.pathname.startsWith("/api/v1/")) {
    const path = url.pathname.slice("/api/v1".length);
    const body = text ? JSON.parse(text) : {};
    const enter = (status, entered) => {
      const made = randomUUID().replaceAll("-", "");
      sessions.set(made, entered);
      entered.sessions.push(sessionOf(made));
      send(status, meOf(entered), {
        "Set-Cookie": `clp_session=${made}; HttpOnly; SameSite=Lax; Path=/`,
      });
    };
    if (request.method !== "GET" && request.headers["x-requested-with"] !== "clp")
      return send(
        403,
        problem(403, "http.csrf", "The request did not come from this application."),
      );
    if (path === "/terms") return send(200, TERMS);
    if (path === "/sso/begin") return send(...ssoPage(body));
    if (path === "/password/forgotten") return send(202, "");
    if (path === "/password/reset") {
      if (body.token === "used")
        return send(410, problem(410, "auth.reset_unusable", "This link does not hold any more."));
      return send(...(weak(body.password, "/password") ?? [204, ""]));
    }
    if (path === "/invitations/look" || path === "/invitations/accept") {
      const found = invitationOf(body.token);
      if (!found) return send(...UNUSABLE());
      if (path.endsWith("look")) return send(200, lookAt(found));
      const refused = body.new && weak(body.new.password, "/new/password");
      if (refused) return send(...refused);
      if (body.password === "wrong")
        return send(401, problem(401, "auth.wrong_credentials", "The password is wrong."));
      return enter(200, joinAs(found, body.new?.name ?? "Ana Approver"));
    }
    if (path === "/sign-up") {
      const refused = AGREED(body) ? weak(body.password, "/password") : termsChanged();
      if (refused) return send(...refused);
      if (users.has(body.email))
        return send(
          409,
          problem(
            409,
            "auth.email_taken",
            "There is already an account with this e-mail address.",
            {
              next: "Sign in instead.",
              errors: [{ pointer: "/email", message: "Already in use" }],
            },
          ),
        );
      users.set(body.email, { ...newOrganisation(body), password: body.password });
      return enter(201, users.get(body.email));
    }
    if (path === "/session" && request.method === "POST") {
      const kind = /^(demo|empty|broken|terms|factor|viewer|planner|approver)@/.exec(
        body.email,
      )?.[1];
      const known = users.get(body.email) ?? (kind ? signedInAs(body.email, kind) : null);
      if (
        !known ||
        body.password === "wrong" ||
        (known.password && known.password !== body.password)
      )
        return send(
          401,
          problem(401, "auth.wrong_credentials", "The e-mail address or the password is wrong.", {
            unharmed: "Your account is not locked.",
            next: "Check both and try again.",
          }),
        );
      if (known.factor.on && (!body.code || body.code === "000000"))
        return send(401, codeProblem(body.code));
      return enter(200, known);
    }
    if (path === "/session") {
      if (org) endSession(org, sessionId(token));
      return send(204, "");
    }
    if (!org) return send(401, problem(401, "auth.required", "You are not signed in."));
    if (path === "/session/organisation") {
      const there = org.others.find(({ organisation }) => organisation.id === body.organisation);
      if (!there) return send(404, problem(404, "not_found", "There is no such organisation."));
      endSession(org, sessionId(token));
      return enter(200, there);
    }
    return send(...route(request.method, path, url.searchParams, body, org, token));
  }
  const asked = normalize(url.pathname);
  const file = extname(asked) ? asked : "/index.html";
  try {
    const content = await readFile(join(DIST, file));
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
      "Content-Security-Policy": CSP,
    });
    response.end(content);
  } catch {
    send(404, "not found");
  }
}).listen(PORT, "127.0.0.1", () =>
  console.log(`fixture server (development aid): http://127.0.0.1:${PORT}`),
);
