import { afterEach, describe, expect, it } from "vitest";
import { createQueryClient, meQuery } from "../api/queries";
import { meWith } from "../test/fixtures";
import { followServer } from "./clock";
import { compare, divide, subtract } from "./decimal";
import {
  day,
  dayOf,
  duration,
  fromNow,
  moment,
  money,
  moneyChange,
  percentChange,
  ratio,
  ratioChange,
  zoneName,
} from "./format";

describe("money", () => {
  it.each([
    ["1234.5", "EUR", "€1,234.50"],
    ["136369", "JPY", "¥136,369"],
    ["1.5", "KWD", "KWD 1.500"],
    ["12345678901234567.89", "EUR", "€12,345,678,901,234,567.89"],
    ["-0.05", "USD", "-$0.05"],
  ])("%s %s is printed as %s, without a float in between", (amount, currency, printed) => {
    expect(money({ amount, currency }).replaceAll("\u00a0", " ")).toBe(printed);
  });

  it("says the sign of a difference, and none for zero", () => {
    expect(moneyChange({ amount: "60.00", currency: "EUR" })).toBe("+€60.00");
    expect(moneyChange({ amount: "-60.00", currency: "EUR" })).toBe("-€60.00");
    expect(moneyChange({ amount: "0.00", currency: "EUR" })).toBe("€0.00");
  });
});

describe("percentages", () => {
  it("takes a percentage as it is and a ratio times a hundred", () => {
    expect(percentChange("-12.5")).toBe("-12.5%");
    expect(ratio("0.9620")).toBe("96%");
    expect(ratioChange("-0.0380")).toBe("-3.8%");
  });
});

describe("days and moments", () => {
  it("prints a day as written, whatever the viewer's zone", () => {
    expect(day("2026-11-21")).toContain("21");
    expect(day("2026-01-01")).toContain("2026");
  });

  it("names the zone of a moment", () => {
    expect(moment("2026-11-21T12:39:00Z", "Europe/Berlin")).toMatch(/13:39.*(CET|GMT\+1)/);
  });

  it("finds the day of a moment in the account's zone", () => {
    expect(dayOf("2026-11-21T23:30:00Z", "Asia/Tokyo")).toBe("2026-11-22");
    expect(dayOf("2026-11-21T03:30:00Z", "America/New_York")).toBe("2026-11-20");
  });

  it("names a zone by its city and offset", () => {
    expect(zoneName("America/New_York", new Date("2026-11-21T00:00:00Z"))).toBe(
      "New York time (GMT-5)",
    );
  });

  it("counts time in the largest unit that fits", () => {
    const now = Date.parse("2026-11-21T12:00:00Z");
    expect(fromNow("2026-11-21T11:51:00Z", now)).toMatch(/9 min/);
    expect(fromNow("2026-11-21T14:10:00Z", now)).toMatch(/2 hr|2 hours/);
    expect(duration(0.42)).toBe("0.4 s");
    expect(duration(95)).toBe("1 min 35 s");
    expect(duration(11_400)).toBe("3 h 10 min");
  });
});

describe("the platform's clock", () => {
  afterEach(() => followServer(new Date().toISOString()));

  it("is what relative times are counted from, not the browser's", () => {
    followServer("2031-01-02T12:00:00Z");
    expect(fromNow("2031-01-02T11:51:00Z")).toMatch(/9 min/);
    expect(fromNow("2031-01-02T14:10:00Z")).toMatch(/2 hr|2 hours/);
  });

  it("is taken from the moment at which the answer came, not at which it is looked at", () => {
    followServer("2031-01-02T12:00:00Z", Date.now() - 60_000);
    expect(fromNow("2031-01-02T12:00:00Z")).toMatch(/1 min/);
  });

  it("follows every answer that says who is signed in", () => {
    const queries = createQueryClient();
    queries.setQueryData(meQuery().queryKey, meWith({ now: "2031-01-02T12:00:00Z" }));
    expect(fromNow("2031-01-02T11:51:00Z")).toMatch(/9 min/);
  });
});

describe("decimal arithmetic", () => {
  it("is exact where floats are not", () => {
    expect(subtract("0.3", "0.1")).toBe("0.2");
    expect(subtract("12345678901234567.89", "0.01")).toBe("12345678901234567.88");
    expect(subtract("1", "2.50")).toBe("-1.50");
  });

  it("compares by value, not by digits", () => {
    expect(compare("200.0", "200.00")).toBe(0);
    expect(compare("-1", "0.5")).toBe(-1);
  });

  it("rounds half away from zero and refuses to divide by nothing", () => {
    expect(divide("-1900", "50000")).toBe("-0.0380");
    expect(divide("1", "8", 2)).toBe("0.13");
    expect(divide("-1", "8", 2)).toBe("-0.13");
    expect(divide("1", "0")).toBeNull();
  });

  it("refuses what is not a decimal", () => {
    expect(() => subtract("1e3", "1")).toThrow(RangeError);
  });
});
