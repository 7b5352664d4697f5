import { describe, expect, it } from "vitest";
import { overviewSearch, runsSearch, signInSearch } from "./search";

describe("filters in the address bar", () => {
  it("are kept when they are offered", () => {
    expect(overviewSearch.parse({ pace: "behind", q: "brand" })).toEqual({
      pace: "behind",
      q: "brand",
    });
  });

  it("fall back to the unfiltered view when they are not", () => {
    expect(overviewSearch.parse({ pace: "sideways", q: 7 }).pace).toBeUndefined();
    expect(runsSearch.parse({ state: "[]" }).state).toBeUndefined();
  });
});

describe("the way back after signing in", () => {
  it("leads into this application", () => {
    expect(signInSearch.parse({ return: "/approvals/pro_1?view=closed" }).return).toBe(
      "/approvals/pro_1?view=closed",
    );
  });

  it("stays beside what a sign-in link or an identity provider brought", () => {
    const search = { organisation: "org_1", problem: "auth.sso_failed" };
    expect(signInSearch.parse(search)).toMatchObject(search);
    expect(signInSearch.parse({ problem: ["x"] }).problem).toBeUndefined();
  });

  it.each(["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])(
    "never to %s",
    (path) => {
      expect(signInSearch.parse({ return: path }).return).toBeUndefined();
    },
  );
});
