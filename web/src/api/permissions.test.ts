import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { PERMISSIONS } from "./permissions";

it("every permission that an operation of the API needs is known here", () => {
  const document = readFileSync("../api/openapi.json", "utf8");
  const needed = [...document.matchAll(/"x-permission": "([^"]+)"/g)].map((match) => match[1]!);
  const known = new Set<string>([...PERMISSIONS, "anybody", "member", "person"]);
  expect(needed.length).toBeGreaterThan(0);
  expect(needed.filter((permission) => !known.has(permission))).toEqual([]);
});
