/**
 * The one place where money, numbers, days and moments become text. Amounts stay decimal strings all the way into
 * Intl, which formats them without passing through a float.
 */
import type { Money } from "../api/types";
import { serverNow } from "./clock";

/** The interface speaks English, so figures follow the viewer's English: 11/21/2026 reads wrongly in Berlin. */
export const locale: string =
  (typeof navigator === "undefined" ? [] : navigator.languages).find((tag) =>
    tag.toLowerCase().startsWith("en"),
  ) ?? "en-GB";

function decimal(text: string): Intl.StringNumericLiteral {
  return text as Intl.StringNumericLiteral;
}

const formatters = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  const known = formatters.get(key);
  if (known) return known;
  const made = new Intl.NumberFormat(locale, options);
  formatters.set(key, made);
  return made;
}

/** €1,234.50: with the currency's own number of decimals. */
export function money(value: Money): string {
  return numberFormat({ style: "currency", currency: value.currency }).format(
    decimal(value.amount),
  );
}

/** +€60.00, for differences: the sign is always said. */
export function moneyChange(value: Money): string {
  return numberFormat({
    style: "currency",
    currency: value.currency,
    signDisplay: "exceptZero",
  }).format(decimal(value.amount));
}

/** €48.1K, for axis ticks only: geometry, not bookkeeping. */
export function moneyTick(value: number, currency: string): string {
  return numberFormat({
    style: "currency",
    currency,
    notation: "compact",
    maximumFractionDigits: 1,
  }).format(value);
}

/** "-12.5" → "-12.5%": the text is already a percentage. */
export function percentChange(text: string): string {
  return numberFormat({
    style: "unit",
    unit: "percent",
    signDisplay: "exceptZero",
    maximumFractionDigits: 1,
  }).format(decimal(text));
}

/** "0.9612" → "96%": the text is a ratio. */
export function ratio(text: string): string {
  return numberFormat({ style: "percent", maximumFractionDigits: 0 }).format(decimal(text));
}

/** "-0.0384" → "-3.8%": the text is a ratio, the sign is said. */
export function ratioChange(text: string): string {
  return numberFormat({
    style: "percent",
    maximumFractionDigits: 1,
    signDisplay: "exceptZero",
  }).format(decimal(text));
}

/** 12,481 */
export function count(value: number): string {
  return numberFormat({ maximumFractionDigits: 0 }).format(value);
}

/** "2026-11-21" → "21 Nov 2026". A day has no zone of its own: it is printed as written. */
export function day(text: string): string {
  return dayParts(text, { day: "numeric", month: "short", year: "numeric" });
}

/** "21 Nov – 31 Dec 2026"; an end that the platform does not say stays open; null without either. */
export function flight(
  first: string | null | undefined,
  last: string | null | undefined,
): string | null {
  if (first == null && last == null) return null;
  if (first == null || last == null)
    return `${first == null ? "…" : day(first)} – ${last == null ? "…" : day(last)}`;
  return dayFormat({ day: "numeric", month: "short", year: "numeric" }).formatRange(
    new Date(`${first}T00:00:00Z`),
    new Date(`${last}T00:00:00Z`),
  );
}

/** "2026-11-21" → "21 Nov", for axes. */
export function dayShort(text: string): string {
  return dayParts(text, { day: "numeric", month: "short" });
}

function dayParts(text: string, options: Intl.DateTimeFormatOptions): string {
  return dayFormat(options).format(new Date(`${text}T00:00:00Z`));
}

/** In UTC, where a day begins at its own midnight: so it is printed as it was written. */
function dayFormat(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
}

/** The day that a moment falls on in a zone, as `YYYY-MM-DD`. */
export function dayOf(text: string, zone: string): string {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  return parts.format(new Date(text));
}

/** 21 Nov 2026, 13:39 CET: a moment always names its zone. */
export function moment(text: string, zone: string): string {
  return new Intl.DateTimeFormat(locale, {
    timeZone: zone,
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  }).format(new Date(text));
}

/** 13:39:05 CET, for lists within one day. */
export function timeOfDay(text: string, zone: string): string {
  return new Intl.DateTimeFormat(locale, {
    timeZone: zone,
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  }).format(new Date(text));
}

/** "Europe/Berlin" → "Berlin time (GMT+1)". */
export function zoneName(zone: string, at: Date = new Date(serverNow())): string {
  const city = zone.split("/").at(-1)?.replaceAll("_", " ") ?? zone;
  const offset = new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: "shortOffset" })
    .formatToParts(at)
    .find((part) => part.type === "timeZoneName")?.value;
  if (zone === "UTC" || zone === "Etc/UTC") return "UTC";
  return offset ? `${city} time (${offset})` : zone;
}

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "3 min. ago", "in 2 hr." */
export function fromNow(text: string, now: number = serverNow()): string {
  const seconds = Math.round((new Date(text).getTime() - now) / 1_000);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(seconds, "second");
}

/** "3 h 10 min", "42 s", "0.4 s" */
export function duration(seconds: number): string {
  if (seconds < 10) return `${numberFormat({ maximumFractionDigits: 1 }).format(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
