import type { components } from "./schema.gen";

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

/** What decides who may do what is for persons: no API key may have it. */
const FOR_PERSONS: ReadonlySet<Permission> = new Set([
  "members.manage",
  "api_keys.manage",
  "sign_in.manage",
]);

/** What an API key may be given, as the API's document lists it. */
export type KeyPermission = components["schemas"]["KeyPermissionName"];

export const FOR_KEYS = PERMISSIONS.filter(
  (permission): permission is KeyPermission => !FOR_PERSONS.has(permission),
);
