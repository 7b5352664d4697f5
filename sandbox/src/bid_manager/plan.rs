//! What a report will contain, fixed when it is asked for: which rows in which order, with the names
//! as they are at that moment, and as of when delivery is looked at.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, Utc};

use super::csv::quote;
use super::names::{Dimension, EntityField};
use super::params::Params;
use crate::document::{Document, text};
use crate::faults::Action;
use crate::google::ApiError;
use crate::world::{Advertiser, Kind, World};

/// The content of a report, except for the figures.
#[derive(Debug)]
pub struct Plan {
    /// What was asked for.
    pub params: Params,
    /// The days covered.
    pub days: RangeInclusive<NaiveDate>,
    /// The report shows what was visible at this instant, a whole minute.
    pub as_of: DateTime<Utc>,
    /// The rows that belong together.
    pub groups: Vec<Group>,
    /// The footer's lines about filters.
    pub filter_lines: Vec<String>,
    /// What is wrong with this report on purpose.
    pub fault: Option<Action>,
}

/// The line items that share all dimensions but day and device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The cells of the entity dimensions, in the order of the dimensions, as CSV.
    pub cells: Vec<Box<str>>,
    /// The line items.
    pub line_items: Vec<u64>,
}

/// The advertisers that a query covers.
///
/// # Errors
/// 403 when it names one that the person cannot see.
pub fn covered<'a>(world: &'a World, params: &Params, email: &str) -> Result<Vec<&'a Advertiser>, ApiError> {
    let visible: Vec<&Advertiser> = world.visible_advertisers(email).collect();
    let may_see = |id: &u64| visible.iter().any(|advertiser| advertiser.id == *id);
    let foreign_partner = params.partners.iter().any(|id| *id != world.partner.id);
    if visible.is_empty() || foreign_partner || !params.advertisers.iter().all(may_see) {
        return Err(ApiError::permission_denied());
    }
    let wanted =
        |advertiser: &&Advertiser| params.advertisers.is_empty() || params.advertisers.contains(&advertiser.id);
    Ok(visible.into_iter().filter(wanted).collect())
}

/// Groups the line items of the advertisers as the query asks.
#[must_use]
pub fn groups(world: &World, params: &Params, advertisers: &[&Advertiser]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: BTreeMap<Vec<Box<str>>, usize> = BTreeMap::new();
    let fields: Vec<EntityField> = params
        .group_bys
        .iter()
        .filter_map(|(dimension, _)| match dimension {
            Dimension::Entity(field) => Some(*field),
            Dimension::Date | Dimension::DeviceType => None,
        })
        .collect();
    for advertiser in advertisers {
        for (id, line_item) in world.entities_of(Kind::LineItem, advertiser.id) {
            if !is_wanted(params, id, line_item) {
                continue;
            }
            let cells: Vec<Box<str>> =
                fields.iter().map(|field| quote(&cell(world, advertiser, line_item, *field)).into()).collect();
            let place = *places.entry(cells.clone()).or_insert_with(|| {
                groups.push(Group { cells, line_items: Vec::new() });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(place) {
                group.line_items.push(id);
            }
        }
    }
    groups
}

fn is_wanted(params: &Params, id: u64, line_item: &Document) -> bool {
    let wanted = |ids: &[u64], field: &str| {
        ids.is_empty() || text(line_item, field).parse().is_ok_and(|id: u64| ids.contains(&id))
    };
    (params.line_items.is_empty() || params.line_items.contains(&id))
        && wanted(&params.campaigns, "campaignId")
        && wanted(&params.orders, "insertionOrderId")
}

fn cell(world: &World, advertiser: &Advertiser, line_item: &Document, field: EntityField) -> String {
    let parent_name =
        |kind| world.parent(line_item, kind).map(|parent| text(parent, "displayName").to_owned()).unwrap_or_default();
    match field {
        EntityField::Partner => world.partner.id.to_string(),
        EntityField::PartnerName => world.partner.name.clone(),
        EntityField::Advertiser => advertiser.id.to_string(),
        EntityField::AdvertiserName => advertiser.name.clone(),
        EntityField::AdvertiserCurrency => advertiser.currency.clone(),
        EntityField::AdvertiserTimezone => advertiser.zone.name().to_owned(),
        EntityField::Country => advertiser.country.clone(),
        EntityField::Campaign => text(line_item, "campaignId").to_owned(),
        EntityField::CampaignName => parent_name(Kind::Campaign),
        EntityField::InsertionOrder => text(line_item, "insertionOrderId").to_owned(),
        EntityField::InsertionOrderName => parent_name(Kind::InsertionOrder),
        EntityField::LineItem => text(line_item, "lineItemId").to_owned(),
        EntityField::LineItemName => text(line_item, "displayName").to_owned(),
        EntityField::LineItemType => match text(line_item, "lineItemType") {
            "LINE_ITEM_TYPE_VIDEO_DEFAULT" => "Video".to_owned(),
            _ => "Display".to_owned(),
        },
    }
}

/// The footer's lines that say what was filtered by.
#[must_use]
pub fn filter_lines(world: &World, params: &Params) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |header: &str, name: &str, id: u64| {
        lines.push(format!("{},{}", quote(&format!("Filter by {header}:")), quote(&format!("{name} ({id})"))));
    };
    for id in &params.partners {
        add("Partner ID", &world.partner.name, *id);
    }
    for id in &params.advertisers {
        let name = world.advertisers.get(id).map_or("", |advertiser| advertiser.name.as_str());
        add("Advertiser ID", name, *id);
    }
    let filters = [
        ("Campaign ID", Kind::Campaign, &params.campaigns),
        ("Insertion Order ID", Kind::InsertionOrder, &params.orders),
        ("Line Item ID", Kind::LineItem, &params.line_items),
    ];
    for (header, kind, ids) in filters {
        for id in ids {
            let mut found = world.advertisers.keys().filter_map(|owner| world.entities.get(&(kind, *owner, *id)));
            let name = found.next().map(|document| text(document, "displayName")).unwrap_or_default();
            add(header, name, *id);
        }
    }
    lines
}
