//! The partners, advertisers, campaigns, insertion orders and line items that exist, and who may see
//! them. Delivery is not here but in the ledger.

pub mod bulk;
pub mod documents;
pub mod from_report;
pub mod report_file;
pub mod seeded;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::document::{Document, date, number, text};
use crate::ledger::{Terms, Traits};

/// No line item finds more to buy in a day, whatever it may spend.
const MAX_DAILY_MICROS: i64 = 1_000_000_000_000;

/// The three kinds of entity below an advertiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A campaign.
    Campaign,
    /// An insertion order.
    InsertionOrder,
    /// A line item.
    LineItem,
}

impl Kind {
    /// The collection's name in a URL.
    #[must_use]
    pub fn collection(self) -> &'static str {
        match self {
            Self::Campaign => "campaigns",
            Self::InsertionOrder => "insertionOrders",
            Self::LineItem => "lineItems",
        }
    }

    /// The kind with that collection name.
    #[must_use]
    pub fn from_collection(name: &str) -> Option<Self> {
        [Self::Campaign, Self::InsertionOrder, Self::LineItem].into_iter().find(|kind| kind.collection() == name)
    }

    /// The field that holds the entity's id.
    #[must_use]
    pub fn id_field(self) -> &'static str {
        match self {
            Self::Campaign => "campaignId",
            Self::InsertionOrder => "insertionOrderId",
            Self::LineItem => "lineItemId",
        }
    }

    /// The kind in words, for messages.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::InsertionOrder => "insertion order",
            Self::LineItem => "line item",
        }
    }
}

/// The partner that owns the advertisers.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its currency.
    pub currency: String,
    /// Its time zone.
    pub zone: Tz,
}

/// One advertiser.
#[derive(Debug, Clone)]
pub struct Advertiser {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The zone in which its days begin.
    pub zone: Tz,
    /// The country in which its ads are shown.
    pub country: String,
    /// Whether it was taken away from everybody.
    pub removed: bool,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Advertiser {
    /// The smallest amount of its currency that can be billed.
    #[must_use]
    pub fn billable_unit_micros(&self) -> i64 {
        match self.currency.as_str() {
            "JPY" | "KRW" | "CLP" | "VND" | "ISK" | "HUF" => 1_000_000,
            _ => 10_000,
        }
    }
}

/// A Google account and what it may see.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// The name shown on the consent page.
    pub name: String,
    /// The advertisers that it was given.
    pub advertisers: BTreeSet<u64>,
    /// Whether access was taken away later.
    pub lost_access: bool,
}

/// What the sandbox knows of a line item that the API does not say.
#[derive(Debug, Clone)]
pub struct LineFacts {
    /// How it delivers; nothing is generated without.
    pub traits: Option<Traits>,
    /// Delivered spend as a share of the plan, if the world was made that way.
    pub intended_pace_permille: Option<i64>,
    /// What a report file lacked and was estimated.
    pub estimated: Vec<&'static str>,
    /// Whether the line item belongs to the bulk advertiser.
    pub bulk: bool,
}

/// Where an entity is kept.
pub type EntityKey = (Kind, u64, u64);

/// Everything that exists.
#[derive(Debug)]
pub struct World {
    /// What all chance derives from.
    pub seed: u64,
    /// The day on which the world began.
    pub anchor: NaiveDate,
    /// The one partner.
    pub partner: Partner,
    /// The advertisers by id.
    pub advertisers: BTreeMap<u64, Advertiser>,
    /// The documents of all entities, by kind, advertiser and id.
    pub entities: BTreeMap<EntityKey, Document>,
    /// What else is known of the line items.
    pub facts: BTreeMap<u64, LineFacts>,
    /// The Google accounts by e-mail address.
    pub users: BTreeMap<String, User>,
}

impl World {
    /// The entities of one kind under an advertiser, by id.
    pub fn entities_of(&self, kind: Kind, advertiser_id: u64) -> impl Iterator<Item = (u64, &Document)> {
        self.entities
            .range((kind, advertiser_id, 0)..=(kind, advertiser_id, u64::MAX))
            .map(|((_, _, id), document)| (*id, document))
    }

    /// The advertisers that a user can see now.
    pub fn visible_advertisers<'a>(&'a self, email: &str) -> impl Iterator<Item = &'a Advertiser> {
        let user = self.users.get(email).filter(|user| !user.lost_access);
        self.advertisers.values().filter(move |advertiser| {
            !advertiser.removed && user.is_some_and(|user| user.advertisers.contains(&advertiser.id))
        })
    }

    /// The document of an entity's parent, by the kind of the parent.
    #[must_use]
    pub fn parent(&self, document: &Document, kind: Kind) -> Option<&Document> {
        let advertiser_id = text(document, "advertiserId").parse().ok()?;
        let id = text(document, kind.id_field()).parse().ok()?;
        self.entities.get(&(kind, advertiser_id, id))
    }

    /// The days in which a line item may deliver: its own, or those of its insertion order.
    #[must_use]
    pub fn flight(&self, line_item: &Document) -> Option<(NaiveDate, NaiveDate)> {
        if text(line_item, "flight.flightDateType") == "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM" {
            let range = |end: &str| date(line_item, &format!("flight.dateRange.{end}"));
            return Some((range("startDate")?, range("endDate")?));
        }
        let order = self.parent(line_item, Kind::InsertionOrder)?;
        let segments = order.get("budget")?.get("budgetSegments")?.as_array()?;
        let days = |end: &str| -> Vec<NaiveDate> {
            segments
                .iter()
                .filter_map(|segment| crate::document::read_date(segment.get("dateRange")?.get(end)?))
                .collect()
        };
        Some((days("startDate").into_iter().min()?, days("endDate").into_iter().max()?))
    }

    /// The terms under which every generated line item delivers now.
    #[must_use]
    pub fn terms(&self) -> Vec<Terms> {
        let mut terms = Vec::new();
        for ((kind, advertiser_id, id), document) in &self.entities {
            let (Kind::LineItem, Some(advertiser)) = (*kind, self.advertisers.get(advertiser_id)) else { continue };
            let Some(facts) = self.facts.get(id).filter(|facts| !facts.bulk) else { continue };
            let (Some(traits), Some((first, last))) = (facts.traits, self.flight(document)) else { continue };
            let budget_micros = number(document, "budget.maxAmount").unwrap_or(i64::MAX);
            // Paced over the flight instead of by day, the budget is spread evenly.
            let even_micros = budget_micros / ((last - first).num_days() + 1).max(1);
            terms.push(Terms {
                line_item_id: *id,
                zone: advertiser.zone,
                delivering: self.is_delivering(document),
                flight: first..=last,
                daily_max_micros: number(document, "pacing.dailyMaxMicros")
                    .unwrap_or(even_micros)
                    .min(MAX_DAILY_MICROS),
                budget_micros,
                traits,
            });
        }
        terms
    }

    fn is_delivering(&self, line_item: &Document) -> bool {
        let active = |document: &Document| text(document, "entityStatus") == "ENTITY_STATUS_ACTIVE";
        active(line_item)
            && self.parent(line_item, Kind::InsertionOrder).is_some_and(active)
            && self.parent(line_item, Kind::Campaign).is_some_and(active)
    }
}
