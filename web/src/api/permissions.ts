/** What a role may allow, in the order in which it is shown. */
export const PERMISSIONS = [
  "delivery.read",
  "runs.read",
  "runs.start",
  "connections.read",
  "connections.manage",
  "rules.read",
  "rules.manage",
  "rules.evaluate",
  "proposals.read",
  "proposals.decide",
  "proposals.withdraw",
  "changes.freeze",
  "members.read",
  "members.manage",
  "api_keys.manage",
  "sign_in.manage",
  "audit.read",
] as const;

export type Permission = (typeof PERMISSIONS)[number];
