/** What people call the platforms. An unknown one is called by its key. */
const NAMES: Readonly<Record<string, string>> = {
  dv360: "Display & Video 360",
  ttd: "The Trade Desk",
  meta: "Meta Ads",
  google_ads: "Google Ads",
};

export function platformName(key: string): string {
  return NAMES[key] ?? key;
}
