//! The invented agency: three advertisers in three time zones and currencies, with campaigns that
//! are clearly under, on and over pace. Everything follows from the seed and the first day.

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

use super::documents::{CampaignPlan, LinePlan, OrderPlan};
use super::{Advertiser, LineFacts, Partner, User, World};
use crate::ledger::Traits;
use crate::random::{mix, within};

/// The user who sees everything that the seeded world holds.
pub const PLANNER: &str = "planner@agency.example";

/// A user without access to the platform.
pub const INTERN: &str = "intern@agency.example";

/// How many days before the world's first day delivery began.
pub const HISTORY_DAYS: u64 = 90;

/// Line items per advertiser.
const LINES_PER_ADVERTISER: u64 = 14;

/// Insertion orders per campaign.
const ORDERS_PER_CAMPAIGN: usize = 2;

struct Brand {
    name: &'static str,
    currency: &'static str,
    zone: Tz,
    country: &'static str,
    /// How many units of the currency buy about what one euro does.
    scale: i64,
    campaigns: &'static [Brief],
}

struct Brief {
    name: &'static str,
    pace_permille: i64,
    /// First and last day, counted from the world's first day.
    days: (u64, u64),
}

const BRANDS: [Brand; 3] = [
    Brand {
        name: "Nordlicht Reisen GmbH",
        currency: "EUR",
        zone: Tz::Europe__Berlin,
        country: "Germany",
        scale: 1,
        campaigns: &[
            Brief { name: "Winterflucht Kanaren", pace_permille: 600, days: (90, 60) },
            Brief { name: "Städtereisen, Herbst \"Last Call\"", pace_permille: 1_000, days: (75, 60) },
            Brief { name: "Kreuzfahrten Frühbucher", pace_permille: 1_400, days: (60, 60) },
        ],
    },
    Brand {
        name: "Harbor & Pine Outfitters, Inc.",
        currency: "USD",
        zone: Tz::America__New_York,
        country: "United States",
        scale: 1,
        campaigns: &[
            Brief { name: "Trail Season", pace_permille: 1_000, days: (90, 45) },
            Brief { name: "The \"Long Weekend\", Prospecting", pace_permille: 1_400, days: (75, 60) },
            Brief { name: "Gift Guide", pace_permille: 600, days: (60, 30) },
        ],
    },
    Brand {
        name: "Sakura Home 株式会社",
        currency: "JPY",
        zone: Tz::Asia__Tokyo,
        country: "Japan",
        scale: 150,
        campaigns: &[
            Brief { name: "新生活キャンペーン", pace_permille: 600, days: (90, 60) },
            Brief { name: "Bedding, Always On", pace_permille: 1_000, days: (80, 50) },
        ],
    },
];

const AUDIENCES: [&str; 7] = [
    "Prospecting",
    "Retargeting, 30 days",
    "\"In-Market\" audiences",
    "Contextual",
    "Lookalikes",
    "Video, skippable",
    "Video, bumper",
];

/// Makes the seeded world that begins on `anchor`.
#[must_use]
pub fn build(seed: u64, anchor: NaiveDate, now: DateTime<Utc>) -> World {
    let mut world = World {
        seed,
        anchor,
        partner: Partner {
            id: 702_145,
            name: "Agency Example Partner".to_owned(),
            currency: "EUR".to_owned(),
            zone: Tz::Europe__Berlin,
        },
        advertisers: std::collections::BTreeMap::new(),
        entities: std::collections::BTreeMap::new(),
        facts: std::collections::BTreeMap::new(),
        users: std::collections::BTreeMap::new(),
    };
    for (number, brand) in (1..).zip(&BRANDS) {
        add_brand(&mut world, number, brand, now);
    }
    let advertisers = world.advertisers.keys().copied().collect();
    let planner = User { name: "Paula Planner".to_owned(), advertisers, lost_access: false };
    let intern = User { name: "Ian Intern".to_owned(), ..User::default() };
    world.users.insert(PLANNER.to_owned(), planner);
    world.users.insert(INTERN.to_owned(), intern);
    world
}

fn add_brand(world: &mut World, number: u64, brand: &Brand, now: DateTime<Utc>) {
    let advertiser_id = 5_100_000 + number * 1_000 + mix(&[world.seed, number]) % 1_000;
    world.advertisers.insert(
        advertiser_id,
        Advertiser {
            id: advertiser_id,
            name: brand.name.to_owned(),
            currency: brand.currency.to_owned(),
            zone: brand.zone,
            country: brand.country.to_owned(),
            removed: false,
            updated_at: now,
        },
    );
    let campaigns = brand.campaigns.len() as u64;
    for (index, brief) in (0..).zip(brand.campaigns) {
        // The line items are dealt out as evenly as they go.
        let lines = LINES_PER_ADVERTISER / campaigns + u64::from(index < LINES_PER_ADVERTISER % campaigns);
        let campaign_id = 55_000_000 + number * 10_000 + index * 100;
        add_campaign(world, brand, brief, &Place { advertiser_id, campaign_id, lines, now });
    }
}

struct Place {
    advertiser_id: u64,
    campaign_id: u64,
    lines: u64,
    now: DateTime<Utc>,
}

fn add_campaign(world: &mut World, brand: &Brand, brief: &Brief, place: &Place) {
    let day = |days: Option<NaiveDate>| days.unwrap_or(world.anchor);
    let flight = (
        day(world.anchor.checked_sub_days(Days::new(brief.days.0))),
        day(world.anchor.checked_add_days(Days::new(brief.days.1))),
    );
    let flight_days = (flight.1 - flight.0).num_days() + 1;
    let mut order_budgets = [0; ORDERS_PER_CAMPAIGN];
    let mut plans = Vec::new();
    for line in 0..place.lines {
        let order = line % order_budgets.len() as u64;
        let plan = plan_line(world.seed, brand, brief, place, (line, order), flight_days);
        if let Some((_, budget)) = (0..).zip(&mut order_budgets).find(|(index, _)| *index == order) {
            *budget += plan.budget_micros;
        }
        plans.push(plan);
    }
    let planned_micros = order_budgets.iter().sum();
    let campaign = CampaignPlan { id: place.campaign_id, name: brief.name.to_owned(), planned_micros, flight };
    world.add_campaign(place.advertiser_id, &campaign, place.now);
    for (order, budget_micros) in (0..).zip(order_budgets) {
        let plan = OrderPlan {
            id: order_id(place.campaign_id, order),
            campaign_id: place.campaign_id,
            name: format!("{} | IO {}", brief.name, order + 1),
            budget_micros,
            flight,
        };
        world.add_order(place.advertiser_id, &plan, place.now);
    }
    for mut plan in plans {
        // Every third line has days of its own, so that both kinds of flight are met.
        plan.own_flight = plan.id.is_multiple_of(3).then_some(flight);
        world.add_line(place.advertiser_id, plan, place.now);
    }
}

fn order_id(campaign_id: u64, order: u64) -> u64 {
    11_000_000 + campaign_id + order
}

fn plan_line(
    seed: u64,
    brand: &Brand,
    brief: &Brief,
    place: &Place,
    (line, order): (u64, u64),
    flight_days: i64,
) -> LinePlan {
    let id = 22_000_000 + place.campaign_id + line;
    let chance = mix(&[seed, id]);
    let planned_daily_micros = within(chance, 80, 240) * brand.scale * 1_000_000;
    let audience = AUDIENCES.get(usize::try_from(line).unwrap_or(0) % AUDIENCES.len()).copied().unwrap_or("");
    let traits = Traits {
        cpm_micros: within(mix(&[chance, 1]), 2_100, 7_900) * 1_000 * brand.scale,
        clicks_per_100k: within(mix(&[chance, 2]), 60, 450),
        conversions_per_10k_clicks: within(mix(&[chance, 3]), 80, 600),
        conversion_value_micros: within(mix(&[chance, 4]), 20, 120) * brand.scale * 1_000_000,
        markup_permille: 80,
        video: audience.starts_with("Video"),
    };
    LinePlan {
        id,
        campaign_id: place.campaign_id,
        order_id: order_id(place.campaign_id, order),
        name: format!("{} | {audience}", brief.name),
        budget_micros: planned_daily_micros * flight_days,
        daily_max_micros: planned_daily_micros * brief.pace_permille / 1_000,
        own_flight: None,
        facts: LineFacts {
            traits: Some(traits),
            intended_pace_permille: Some(brief.pace_permille),
            estimated: Vec::new(),
            bulk: false,
        },
    }
}
