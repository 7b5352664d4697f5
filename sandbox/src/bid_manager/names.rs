//! The dimensions and metrics that reports know: their names in the API and in the CSV header.

/// A dimension to group by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The advertiser's day.
    Date,
    /// The device.
    DeviceType,
    /// Anything that belongs to the line item.
    Entity(EntityField),
}

/// A dimension that follows from the line item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityField {
    /// The partner's id.
    Partner,
    /// The partner's name.
    PartnerName,
    /// The advertiser's id.
    Advertiser,
    /// The advertiser's name.
    AdvertiserName,
    /// The advertiser's currency.
    AdvertiserCurrency,
    /// The advertiser's time zone.
    AdvertiserTimezone,
    /// The country in which ads are shown.
    Country,
    /// The campaign's id.
    Campaign,
    /// The campaign's name.
    CampaignName,
    /// The insertion order's id.
    InsertionOrder,
    /// The insertion order's name.
    InsertionOrderName,
    /// The line item's id.
    LineItem,
    /// The line item's name.
    LineItemName,
    /// The line item's type.
    LineItemType,
}

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// A whole number.
    Whole,
    /// Hundredths, with two decimals.
    Hundredths,
    /// Micros, with six decimals.
    Micros,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in the API.
    pub name: &'static str,
    /// Its name in the CSV header.
    pub header: &'static str,
    /// Its place among the ledger's figures.
    pub figure: usize,
    /// How it is written.
    pub notation: Notation,
}

const fn metric(name: &'static str, header: &'static str, figure: usize, notation: Notation) -> Metric {
    Metric { name, header, figure, notation }
}

/// All metrics.
pub const METRICS: [Metric; 11] = [
    metric("METRIC_IMPRESSIONS", "Impressions", 0, Notation::Whole),
    metric("METRIC_BILLABLE_IMPRESSIONS", "Billable Impressions", 0, Notation::Whole),
    metric("METRIC_CLICKS", "Clicks", 1, Notation::Whole),
    metric("METRIC_MEDIA_COST_ADVERTISER", "Media Cost (Advertiser Currency)", 2, Notation::Micros),
    metric("METRIC_REVENUE_ADVERTISER", "Revenue (Advertiser Currency)", 3, Notation::Micros),
    metric("METRIC_TOTAL_CONVERSIONS", "Total Conversions", 4, Notation::Hundredths),
    metric("METRIC_RICH_MEDIA_VIDEO_PLAYS", "Starts (Video)", 5, Notation::Whole),
    metric("METRIC_RICH_MEDIA_VIDEO_COMPLETIONS", "Complete Views (Video)", 6, Notation::Whole),
    metric("METRIC_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS", "Active View: Viewable Impressions", 7, Notation::Whole),
    metric("METRIC_ACTIVE_VIEW_MEASURABLE_IMPRESSIONS", "Active View: Measurable Impressions", 8, Notation::Whole),
    metric("METRIC_CM360_POST_CLICK_REVENUE", "CM360 Post-Click Revenue", 9, Notation::Micros),
];

/// All dimensions: name in the API, name in the CSV header.
pub const DIMENSIONS: [(&str, &str, Dimension); 16] = [
    ("FILTER_DATE", "Date", Dimension::Date),
    ("FILTER_DEVICE_TYPE", "Device Type", Dimension::DeviceType),
    ("FILTER_PARTNER", "Partner ID", Dimension::Entity(EntityField::Partner)),
    ("FILTER_PARTNER_NAME", "Partner", Dimension::Entity(EntityField::PartnerName)),
    ("FILTER_ADVERTISER", "Advertiser ID", Dimension::Entity(EntityField::Advertiser)),
    ("FILTER_ADVERTISER_NAME", "Advertiser", Dimension::Entity(EntityField::AdvertiserName)),
    ("FILTER_ADVERTISER_CURRENCY", "Advertiser Currency", Dimension::Entity(EntityField::AdvertiserCurrency)),
    ("FILTER_ADVERTISER_TIMEZONE", "Advertiser Time Zone", Dimension::Entity(EntityField::AdvertiserTimezone)),
    ("FILTER_COUNTRY", "Country", Dimension::Entity(EntityField::Country)),
    ("FILTER_MEDIA_PLAN", "Campaign ID", Dimension::Entity(EntityField::Campaign)),
    ("FILTER_MEDIA_PLAN_NAME", "Campaign", Dimension::Entity(EntityField::CampaignName)),
    ("FILTER_INSERTION_ORDER", "Insertion Order ID", Dimension::Entity(EntityField::InsertionOrder)),
    ("FILTER_INSERTION_ORDER_NAME", "Insertion Order", Dimension::Entity(EntityField::InsertionOrderName)),
    ("FILTER_LINE_ITEM", "Line Item ID", Dimension::Entity(EntityField::LineItem)),
    ("FILTER_LINE_ITEM_NAME", "Line Item", Dimension::Entity(EntityField::LineItemName)),
    ("FILTER_LINE_ITEM_TYPE", "Line Item Type", Dimension::Entity(EntityField::LineItemType)),
];

/// The dimension with an API name, and its header.
#[must_use]
pub fn dimension(name: &str) -> Option<(Dimension, &'static str)> {
    DIMENSIONS.iter().find(|(api, _, _)| *api == name).map(|(_, header, dimension)| (*dimension, *header))
}

/// The metric with an API name.
#[must_use]
pub fn metric_named(name: &str) -> Option<Metric> {
    METRICS.iter().find(|metric| metric.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_points_at_a_figure() {
        for metric in METRICS {
            assert!(metric.figure < crate::ledger::METRIC_COUNT, "{}", metric.name);
        }
    }
}
