/** Currencies and time zones to choose from, and the likely ones for this browser. */
import { locale } from "../../format/format";

/** The region decides, since a browser knows it and nothing better. A wrong guess is one click away from right. */
const CURRENCY_BY_REGION: Readonly<Record<string, string>> = {
  US: "USD",
  GB: "GBP",
  CH: "CHF",
  SE: "SEK",
  NO: "NOK",
  DK: "DKK",
  PL: "PLN",
  CZ: "CZK",
  CA: "CAD",
  AU: "AUD",
  NZ: "NZD",
  JP: "JPY",
  IN: "INR",
  BR: "BRL",
  ZA: "ZAR",
  SG: "SGD",
};

const COMMON_CURRENCIES = [...new Set(["EUR", ...Object.values(CURRENCY_BY_REGION)])].toSorted();

export function currencyOfRegion(language: string): string {
  const region = new Intl.Locale(language).maximize().region ?? "";
  return CURRENCY_BY_REGION[region] ?? "EUR";
}

export function currencyOptions(): { value: string; label: string }[] {
  const names = new Intl.DisplayNames(locale, { type: "currency" });
  return COMMON_CURRENCIES.map((code) => ({ value: code, label: `${code} · ${names.of(code)}` }));
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

export function zoneOptions(): string[] {
  return [...new Set([browserZone(), "UTC", ...Intl.supportedValuesOf("timeZone")])].toSorted();
}
