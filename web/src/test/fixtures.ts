import { PERMISSIONS } from "../api/permissions";
import type {
  Me,
  Onboarding,
  OnboardingAccount,
  Pacing,
  Problem,
  Proposal,
  Terms,
} from "../api/types";

const eur = (amount: string) => ({ amount, currency: "EUR" });

export const problem: Problem = {
  type: "/problems/connection.needs_reauth",
  code: "connection.needs_reauth",
  title: "Display & Video 360 no longer accepts the access that was given.",
  unharmed: "Your data up to now.",
  next: "Reconnect.",
  status: 401,
  request_id: "req_1",
  retryable: false,
};

export const pacing: Pacing = {
  delivered: eur("48100.00"),
  expected: eur("50000.00"),
  budget: eur("50000.00"),
  index: "0.9620",
  required_daily: eur("100.00"),
  projected: eur("48100.00"),
  as_of: "2026-11-21T12:00:00Z",
  finality: "intraday",
};

export function proposalWith(change: Partial<Proposal> = {}): Proposal {
  return {
    id: "pro_1",
    state: "proposed",
    title: "Raise the daily budget",
    platform: "dv360",
    connection_id: "con_1",
    account: { id: "acc_1", name: "Nordwind" },
    campaign: { id: "ent_1", name: "Brand" },
    line: { id: "ent_2", platform_id: "91", name: "Desktop" },
    field: "daily_budget",
    field_title: "Daily budget",
    before: eur("200.00"),
    after: eur("260.00"),
    difference: eur("60.00"),
    percent: "30.0",
    limited: false,
    change_hash: "hash",
    exposure: eur("1260.00"),
    why: { sentence: "Behind.", rule: null, pacing, pulls: 2, decided_at: "2026-11-21T12:00:00Z" },
    proposed_by: { kind: "rule", name: "Keep pace" },
    created_at: "2026-11-21T12:00:00Z",
    expires_at: "2026-11-22T12:00:00Z",
    live: { value: eur("200.0"), read_at: "2026-11-21T12:00:00Z" },
    may_approve: true,
    history: [],
    ...change,
  };
}

export function onboardingWith(change: Partial<Onboarding> = {}): Onboarding {
  return {
    id: "onb_1",
    state: "connecting",
    started_at: "2026-11-21T12:00:00Z",
    can_cancel: true,
    steps: [],
    accounts: [],
    ...change,
  };
}

export function accountWith(change: Partial<OnboardingAccount> = {}): OnboardingAccount {
  return {
    id: "acc_1",
    platform_id: "4100001",
    name: "Nordwind",
    parent_name: "Hafen",
    currency: "EUR",
    time_zone: "Europe/Berlin",
    status: "active",
    selected: false,
    ...change,
  };
}

/** An admin of an organisation that is set up. */
export function meWith(change: Partial<Me> = {}): Me {
  return {
    user: { id: "usr_1", email: "ana@agency.example", name: "Ana" },
    organisation: {
      id: "org_1",
      name: "Hafen",
      reporting_currency: "EUR",
      time_zone: "Europe/Berlin",
      frozen: false,
    },
    onboarding: onboardingWith({ state: "done" }),
    open_proposals: 0,
    role: "admin",
    permissions: [...PERMISSIONS],
    agreed: true,
    now: "2026-11-21T12:00:00Z",
    ...change,
  };
}

export function termsOf(version: string): Terms {
  return {
    terms: { version, url: "https://agency.example/terms" },
    privacy: { version: "2", url: "https://agency.example/privacy" },
  };
}
