//! Builds a world from a report that somebody exported, so that they see their own numbers. What the
//! file lacks is estimated, and noted as estimated. Nothing is delivered beyond what the file says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::documents::{CampaignPlan, LinePlan, OrderPlan};
use super::report_file::{BadFile, Key, ReportFile, Row, parse, read_day, read_micros};
use super::{Advertiser, LineFacts, Partner, User, World, seeded};
use crate::ledger::{Device, Entry, Ledger, Metrics};
use crate::random::text_hash;

/// How long a flight is thought to go on after the last delivery.
const FLIGHT_TAIL_DAYS: u64 = 14;

/// Estimated money is rounded to whole units of this many micros.
const ROUND_MICROS: i64 = 1_000_000;

/// A world that came from a file.
#[derive(Debug)]
pub struct Imported {
    /// What exists.
    pub world: World,
    /// What was delivered.
    pub ledger: Ledger,
    /// The instant at which virtual time begins.
    pub starts_at: DateTime<Utc>,
}

/// What the rows of one line item say.
struct LineRows<'a> {
    advertiser_id: u64,
    campaign_id: u64,
    order_id: u64,
    rows: Vec<&'a Row>,
}

/// Reads a report file and builds the world of it.
///
/// # Errors
/// With a sentence that says what to change.
pub fn load(path: &Path, seed: u64) -> Result<Imported, BadFile> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| BadFile(format!("Could not read {shown}: {error}. Check the path.")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| BadFile(format!("{shown} is not UTF-8 text: export the report as CSV, not as XLSX or ZIP.")))?;
    build(&parse(&text)?, seed)
}

fn build(file: &ReportFile, seed: u64) -> Result<Imported, BadFile> {
    let last_day = file.rows.iter().map(|row| row.day).max().unwrap_or_default();
    let lines = group_lines(file);
    let mut world = empty_world(file, seed, last_day);
    add_advertisers(&mut world, file)?;
    let end_of_last_day = |zone: Tz| {
        let next = last_day.checked_add_days(Days::new(1)).unwrap_or(last_day).and_time(NaiveTime::MIN);
        zone.from_local_datetime(&next).earliest().map_or_else(|| next.and_utc(), |end| end.with_timezone(&Utc))
    };
    let latest_end = world.advertisers.values().map(|advertiser| end_of_last_day(advertiser.zone)).max();
    let starts_at = file.report_time.or(latest_end).unwrap_or_else(|| end_of_last_day(Tz::UTC));
    let mut ledger = Ledger::new(seed, starts_at);
    let mut plans: BTreeMap<u64, (u64, LinePlan, (NaiveDate, NaiveDate))> = BTreeMap::new();
    for (line_item_id, line) in &lines {
        for row in &line.rows {
            ledger.import(*line_item_id, entry(row, file), row.texts.clone());
        }
        let (plan, flight) = plan_line(*line_item_id, line, file, last_day);
        plans.insert(*line_item_id, (line.advertiser_id, plan, flight));
    }
    add_entities(&mut world, &lines, plans, starts_at);
    add_users(&mut world);
    Ok(Imported { world, ledger, starts_at })
}

fn empty_world(file: &ReportFile, seed: u64, anchor: NaiveDate) -> World {
    let first = file.rows.first();
    let key = |key| first.and_then(|row| row.keys.get(&key)).map(String::as_str).filter(|text| !text.is_empty());
    let name = key(Key::Partner).unwrap_or("Partner of the report");
    World {
        seed,
        anchor,
        partner: Partner {
            id: id_of(key(Key::PartnerId), name),
            name: name.to_owned(),
            currency: key(Key::Currency).unwrap_or("USD").to_owned(),
            zone: Tz::UTC,
        },
        advertisers: BTreeMap::new(),
        entities: BTreeMap::new(),
        facts: BTreeMap::new(),
        users: BTreeMap::new(),
    }
}

fn add_users(world: &mut World) {
    let advertisers = world.advertisers.keys().copied().collect();
    let planner = User { name: "Paula Planner".to_owned(), advertisers, lost_access: false };
    let intern = User { name: "Ian Intern".to_owned(), ..User::default() };
    world.users.insert(seeded::PLANNER.to_owned(), planner);
    world.users.insert(seeded::INTERN.to_owned(), intern);
}

fn add_advertisers(world: &mut World, file: &ReportFile) -> Result<(), BadFile> {
    for row in &file.rows {
        let path = Names::of(row);
        let currency = key(row, Key::Currency).to_ascii_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(BadFile(format!(
                "\"{currency}\" in the column \"Advertiser Currency\" is no currency code such as EUR: export the \
                 report again with the dimension Advertiser Currency."
            )));
        }
        let zone = match key(row, Key::Zone) {
            "" => Tz::UTC,
            name => name.parse().map_err(|_| {
                BadFile(format!(
                    "\"{name}\" in the column \"Advertiser Time Zone\" is no time zone such as Europe/Berlin: correct \
                     it, or export the report again without that column."
                ))
            })?,
        };
        let country = if key(row, Key::Country).is_empty() { "Unknown" } else { key(row, Key::Country) };
        let advertiser = Advertiser {
            id: path.advertiser_id,
            name: path.advertiser,
            currency,
            zone,
            country: country.to_owned(),
            removed: false,
            updated_at: world.anchor.and_time(NaiveTime::MIN).and_utc(),
        };
        let known = world.advertisers.entry(path.advertiser_id).or_insert_with(|| advertiser.clone());
        if known.currency != advertiser.currency {
            return Err(BadFile(format!(
                "The advertiser \"{}\" appears with two currencies, {} and {}: export the report with the dimension \
                 Advertiser Currency, which is one per advertiser.",
                known.name, known.currency, advertiser.currency
            )));
        }
    }
    Ok(())
}

fn group_lines(file: &ReportFile) -> BTreeMap<u64, LineRows<'_>> {
    let mut lines: BTreeMap<u64, LineRows<'_>> = BTreeMap::new();
    for row in &file.rows {
        let names = Names::of(row);
        let line = lines.entry(names.line_item_id).or_insert_with(|| LineRows {
            advertiser_id: names.advertiser_id,
            campaign_id: names.campaign_id,
            order_id: names.order_id,
            rows: Vec::new(),
        });
        line.rows.push(row);
    }
    lines
}

fn entry(row: &Row, file: &ReportFile) -> Entry {
    let mut metrics = row.metrics;
    let [_, _, has_cost, has_revenue, ..] = file.figures;
    // Only one of the two was exported: the other is taken to be the same.
    if !has_cost {
        metrics.media_cost_micros = metrics.revenue_micros;
    }
    if !has_revenue {
        metrics.revenue_micros = metrics.media_cost_micros;
    }
    let device = row.keys.get(&Key::Device).map_or(Device::Unknown, |name| Device::from_name(name));
    Entry { day: row.day, hour: None, device, visible_from: i64::MIN, metrics, withheld: row.withheld, texts: None }
}

fn plan_line(
    id: u64,
    line: &LineRows<'_>,
    file: &ReportFile,
    last_day: NaiveDate,
) -> (LinePlan, (NaiveDate, NaiveDate)) {
    let delivered: Vec<&&Row> = line.rows.iter().filter(|row| !row.metrics.is_zero() || row.withheld != 0).collect();
    let rows = if delivered.is_empty() { line.rows.iter().collect() } else { delivered };
    let first_delivery = rows.iter().map(|row| row.day).min().unwrap_or(last_day);
    let last_delivery = rows.iter().map(|row| row.day).max().unwrap_or(last_day);
    let mut spent = Metrics::default();
    for row in &line.rows {
        spent += entry(row, file).metrics;
    }
    let told = |key_wanted: Key| line.rows.iter().map(|row| key(row, key_wanted)).find(|text| !text.is_empty());
    let told_flight = told(Key::SegmentStart).and_then(read_day).zip(told(Key::SegmentEnd).and_then(read_day));
    let mut estimated = Vec::new();
    let flight = told_flight.filter(|(start, end)| start <= end).unwrap_or_else(|| {
        estimated.push("flight");
        let tail = last_delivery.checked_add_days(Days::new(FLIGHT_TAIL_DAYS)).unwrap_or(last_delivery);
        (first_delivery, tail)
    });
    let flight_days = (flight.1 - flight.0).num_days() + 1;
    let elapsed_days = ((last_delivery.min(flight.1) - flight.0).num_days() + 1).clamp(1, flight_days);
    estimated.extend(["budget", "daily_max"]);
    let budget_micros = round(times(spent.media_cost_micros, flight_days, elapsed_days));
    let [_, _, has_cost, has_revenue, ..] = file.figures;
    for (present, name) in [(has_cost, "media_cost"), (has_revenue, "revenue")] {
        if !present {
            estimated.push(name);
        }
    }
    if !line.rows.iter().any(|row| !key(row, Key::Zone).is_empty()) {
        estimated.push("time_zone");
    }
    let name = line.rows.first().map(|row| Names::of(row).line_item).unwrap_or_default();
    let plan = LinePlan {
        id,
        campaign_id: line.campaign_id,
        order_id: line.order_id,
        name,
        budget_micros,
        daily_max_micros: round(spent.media_cost_micros / elapsed_days.max(1)),
        own_flight: Some(flight),
        facts: LineFacts { traits: None, intended_pace_permille: None, estimated, bulk: false },
    };
    (plan, flight)
}

fn add_entities(
    world: &mut World,
    lines: &BTreeMap<u64, LineRows<'_>>,
    plans: BTreeMap<u64, (u64, LinePlan, (NaiveDate, NaiveDate))>,
    now: DateTime<Utc>,
) {
    let mut campaigns: BTreeMap<(u64, u64), CampaignPlan> = BTreeMap::new();
    let mut orders: BTreeMap<(u64, u64), OrderPlan> = BTreeMap::new();
    for (id, (advertiser_id, plan, flight)) in &plans {
        let row = lines.get(id).and_then(|line| line.rows.first());
        let Some(names) = row.map(|row| Names::of(row)) else { continue };
        let campaign = campaigns.entry((*advertiser_id, plan.campaign_id)).or_insert_with(|| CampaignPlan {
            id: plan.campaign_id,
            name: names.campaign,
            planned_micros: 0,
            flight: *flight,
        });
        campaign.planned_micros += plan.budget_micros;
        campaign.flight = (campaign.flight.0.min(flight.0), campaign.flight.1.max(flight.1));
        let order = orders.entry((*advertiser_id, plan.order_id)).or_insert_with(|| OrderPlan {
            id: plan.order_id,
            campaign_id: plan.campaign_id,
            name: names.order,
            budget_micros: 0,
            flight: *flight,
        });
        order.budget_micros += plan.budget_micros;
        order.flight = (order.flight.0.min(flight.0), order.flight.1.max(flight.1));
        if let Some(told) = row.and_then(|row| read_micros(key(row, Key::SegmentBudget))) {
            order.budget_micros = told;
        }
    }
    for ((advertiser_id, _), campaign) in &campaigns {
        world.add_campaign(*advertiser_id, campaign, now);
    }
    for ((advertiser_id, _), order) in &orders {
        world.add_order(*advertiser_id, order, now);
    }
    for (_, (advertiser_id, plan, _)) in plans {
        world.add_line(advertiser_id, plan, now);
    }
}

/// Who a row belongs to. Ids that the file lacks are made from the names, so that they stay the same
/// from one export to the next.
struct Names {
    advertiser_id: u64,
    advertiser: String,
    campaign_id: u64,
    campaign: String,
    order_id: u64,
    order: String,
    line_item_id: u64,
    line_item: String,
}

impl Names {
    fn of(row: &Row) -> Self {
        let named = |id: Key, name: Key, missing: &str| {
            let text = [key(row, name), key(row, id), missing].into_iter().find(|text| !text.is_empty());
            text.unwrap_or_default().to_owned()
        };
        let advertiser = named(Key::AdvertiserId, Key::Advertiser, "Advertiser");
        let campaign = named(Key::CampaignId, Key::Campaign, "Campaign (not in the report)");
        let order = named(Key::OrderId, Key::Order, "Insertion order (not in the report)");
        let line_item = named(Key::LineItemId, Key::LineItem, "Line item");
        let told = |id: Key| Some(key(row, id)).filter(|text| !text.is_empty());
        Self {
            advertiser_id: id_of(told(Key::AdvertiserId), &advertiser),
            campaign_id: id_of(told(Key::CampaignId), &format!("{advertiser}/{campaign}")),
            order_id: id_of(told(Key::OrderId), &format!("{advertiser}/{campaign}/{order}")),
            line_item_id: id_of(told(Key::LineItemId), &format!("{advertiser}/{campaign}/{order}/{line_item}")),
            advertiser,
            campaign,
            order,
            line_item,
        }
    }
}

fn key(row: &Row, key: Key) -> &str {
    row.keys.get(&key).map(String::as_str).unwrap_or_default()
}

/// The id that the file says, or a ten-digit one from the name.
fn id_of(told: Option<&str>, name: &str) -> u64 {
    told.and_then(|text| text.parse().ok()).unwrap_or_else(|| 1_000_000_000 + text_hash(name) % 9_000_000_000)
}

fn times(amount: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(amount) * i128::from(numerator) / i128::from(denominator.max(1));
    i64::try_from(product).unwrap_or(i64::MAX)
}

/// Rounds up to whole units of currency; never nothing, which no budget may be.
fn round(micros: i64) -> i64 {
    ((micros + ROUND_MICROS - 1) / ROUND_MICROS * ROUND_MICROS).max(ROUND_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str) -> Result<Imported, BadFile> {
        build(&parse(text)?, 7)
    }

    const NAMES_ONLY: &str = "\
Line Item,Date,Revenue (Adv Currency),Impressions,Advertiser,Advertiser Currency,Advertiser Time Zone
One,2027/01/01,10.5,1000,Acme,EUR,Europe/Berlin
One,2027/01/10,9.5,900,Acme,EUR,Europe/Berlin
";

    #[test]
    fn names_without_ids_get_the_same_ids_every_time() {
        let ids = |imported: &Imported| imported.world.entities.keys().copied().collect::<Vec<_>>();
        let (one, other) = (imported(NAMES_ONLY).unwrap(), imported(NAMES_ONLY).unwrap());
        assert_eq!(ids(&one), ids(&other));
        assert_eq!(ids(&one).len(), 3, "a campaign, an insertion order and a line item");
    }

    #[test]
    fn without_a_report_time_time_begins_when_the_last_day_is_over() {
        let imported = imported(NAMES_ONLY).unwrap();
        assert_eq!(imported.starts_at.to_rfc3339(), "2027-01-10T23:00:00+00:00");
    }

    #[test]
    fn what_is_estimated_follows_from_what_was_delivered() {
        let imported = imported(NAMES_ONLY).unwrap();
        let facts = imported.world.facts.values().next().unwrap();
        assert_eq!(facts.estimated, ["flight", "budget", "daily_max", "media_cost"]);
        let line =
            imported.world.entities.iter().find(|((kind, _, _), _)| *kind == super::super::Kind::LineItem).unwrap().1;
        // 20 in 10 of 24 days.
        assert_eq!(crate::document::number(line, "budget.maxAmount"), Some(48_000_000));
        assert_eq!(crate::document::number(line, "pacing.dailyMaxMicros"), Some(2_000_000));
    }

    #[test]
    fn an_advertiser_has_one_currency_and_a_zone_that_exists() {
        for (text, expected) in [
            (NAMES_ONLY.replacen("EUR,Europe", "USD,Europe", 1), "two currencies"),
            (NAMES_ONLY.replace("EUR", "euros"), "currency code"),
            (NAMES_ONLY.replace("Europe/Berlin", "Berlin time"), "time zone"),
        ] {
            let BadFile(sentence) = imported(&text).unwrap_err();
            assert!(sentence.contains(expected), "{sentence}");
        }
    }
}
