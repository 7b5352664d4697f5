//! A fourth advertiser with any number of line items, for measuring with a million rows.

use chrono::{DateTime, Days, Utc};
use chrono_tz::Tz;

use super::documents::{CampaignPlan, LinePlan, OrderPlan};
use super::{Advertiser, LineFacts, User, World};
use crate::ledger::delivery::BulkLine;
use crate::ledger::{Ledger, Traits};
use crate::random::{mix, within};

/// The user who sees the bulk advertiser and nothing else.
pub const BULK_USER: &str = "bulk@agency.example";

/// The bulk advertiser's id.
pub const BULK_ADVERTISER_ID: u64 = 5_900_001;

/// How many line items share one insertion order and campaign.
const LINES_PER_CAMPAIGN: u64 = 500;

/// Adds the bulk advertiser with `lines` line items to a world and its ledger.
pub fn add(world: &mut World, ledger: &mut Ledger, lines: u64, now: DateTime<Utc>) {
    let first_day = world.anchor.checked_sub_days(Days::new(90)).unwrap_or(world.anchor);
    let last_day = world.anchor.checked_add_days(Days::new(30)).unwrap_or(world.anchor);
    let flight = (first_day, last_day);
    world.advertisers.insert(
        BULK_ADVERTISER_ID,
        Advertiser {
            id: BULK_ADVERTISER_ID,
            name: "Bulk Retail Group".to_owned(),
            currency: "EUR".to_owned(),
            zone: Tz::UTC,
            country: "France".to_owned(),
            removed: false,
            updated_at: now,
        },
    );
    let user = User { name: "Bo Bulk".to_owned(), advertisers: [BULK_ADVERTISER_ID].into(), lost_access: false };
    world.users.insert(BULK_USER.to_owned(), user);
    for index in 0..lines {
        let campaign_id = 58_000_000 + index / LINES_PER_CAMPAIGN;
        let order_id = campaign_id + 10_000_000;
        if index.is_multiple_of(LINES_PER_CAMPAIGN) {
            let name = format!("Bulk campaign {}", index / LINES_PER_CAMPAIGN + 1);
            let budget_micros = 1_000_000_000_000;
            let campaign = CampaignPlan { id: campaign_id, name: name.clone(), planned_micros: budget_micros, flight };
            world.add_campaign(BULK_ADVERTISER_ID, &campaign, now);
            let order = OrderPlan { id: order_id, campaign_id, name, budget_micros, flight };
            world.add_order(BULK_ADVERTISER_ID, &order, now);
        }
        add_line(world, ledger, index, (campaign_id, order_id), now);
    }
}

fn add_line(world: &mut World, ledger: &mut Ledger, index: u64, parents: (u64, u64), now: DateTime<Utc>) {
    let id = 800_000_000 + index;
    let chance = mix(&[world.seed, id]);
    let traits = Traits {
        cpm_micros: within(chance, 2_100, 7_900) * 1_000,
        clicks_per_100k: within(mix(&[chance, 2]), 60, 450),
        conversions_per_10k_clicks: within(mix(&[chance, 3]), 80, 600),
        conversion_value_micros: 30_000_000,
        markup_permille: 80,
        video: index.is_multiple_of(4),
    };
    let first_day = world.anchor.checked_sub_days(Days::new(90)).unwrap_or(world.anchor);
    let last_day = world.anchor.checked_add_days(Days::new(30)).unwrap_or(world.anchor);
    ledger.add_bulk_line(id, BulkLine { seed: world.seed, index, first_day, last_day, traits });
    let plan = LinePlan {
        id,
        campaign_id: parents.0,
        order_id: parents.1,
        name: format!("Bulk line {}", index + 1),
        budget_micros: 121 * 66_000_000,
        daily_max_micros: 66_000_000,
        own_flight: None,
        facts: LineFacts {
            traits: Some(traits),
            intended_pace_permille: Some(1_000),
            estimated: Vec::new(),
            bulk: true,
        },
    };
    world.add_line(BULK_ADVERTISER_ID, plan, now);
}
