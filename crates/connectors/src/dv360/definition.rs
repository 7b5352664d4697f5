//! The report that a new organisation starts with. It is data: a row that is copied into the organisation and can be
//! changed there.

use domain::Platform;
use domain::ids::ReportId;
use domain::report::{Column, Definition, Measure, Target};

const DAY_SECONDS: u32 = 86_400;

const COLUMNS: [(&str, &str, Target); 16] = [
    ("FILTER_DATE", "Date", Target::Day),
    ("FILTER_ADVERTISER", "Advertiser ID", Target::Account),
    ("FILTER_ADVERTISER_CURRENCY", "Advertiser Currency", Target::Currency),
    ("FILTER_MEDIA_PLAN", "Campaign ID", Target::Campaign),
    ("FILTER_INSERTION_ORDER", "Insertion Order ID", Target::Order),
    ("FILTER_LINE_ITEM", "Line Item ID", Target::Line),
    ("FILTER_DEVICE_TYPE", "Device Type", Target::Breakdown),
    ("METRIC_IMPRESSIONS", "Impressions", Target::Measure(Measure::Impressions)),
    ("METRIC_CLICKS", "Clicks", Target::Measure(Measure::Clicks)),
    ("METRIC_MEDIA_COST_ADVERTISER", "Media Cost (Advertiser Currency)", Target::Measure(Measure::MediaCost)),
    ("METRIC_TOTAL_CONVERSIONS", "Total Conversions", Target::Measure(Measure::Conversions)),
    ("METRIC_CM360_POST_CLICK_REVENUE", "CM360 Post-Click Revenue", Target::Measure(Measure::ConversionValue)),
    ("METRIC_RICH_MEDIA_VIDEO_PLAYS", "Starts (Video)", Target::Measure(Measure::VideoStarts)),
    ("METRIC_RICH_MEDIA_VIDEO_COMPLETIONS", "Complete Views (Video)", Target::Measure(Measure::VideoCompletes)),
    (
        "METRIC_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS",
        "Active View: Viewable Impressions",
        Target::Measure(Measure::ViewableImpressions),
    ),
    (
        "METRIC_ACTIVE_VIEW_MEASURABLE_IMPRESSIONS",
        "Active View: Measurable Impressions",
        Target::Measure(Measure::MeasurableImpressions),
    ),
];

/// Delivery by day, line and device, with a new id.
///
/// DV360 restates recent days and adds conversions late, so thirty days are read again every day; its own footer says
/// that numbers move for up to seven days.
#[must_use]
pub fn default_definition() -> Definition {
    let column =
        |(field, header, target): (&str, &str, Target)| Column { field: field.into(), header: header.into(), target };
    Definition {
        id: ReportId::new(),
        platform: Platform::Dv360,
        name: "delivery".into(),
        kind: "STANDARD".into(),
        columns: COLUMNS.map(column).into(),
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: DAY_SECONDS,
        final_after_days: 7,
    }
}
