//! Google's JSON, as far as we read it. Fields that we don't use are not here; lists that are empty are absent.
#![allow(clippy::struct_field_names, reason = "the names are Google's")]

use chrono::{DateTime, NaiveDate, Utc};
use domain::{Currency, DayRange, EntityStatus, Money};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::client::Page;

macro_rules! pages {
    ($($page:ident { $items:ident: $item:ty })*) => {$(
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $page {
            #[serde(default)]
            $items: Vec<$item>,
            next_page_token: Option<String>,
        }

        impl Page for $page {
            type Item = $item;

            fn into_parts(self) -> (Vec<$item>, Option<String>) {
                (self.$items, self.next_page_token)
            }
        }
    )*};
}

pages! {
    Partners { partners: Partner }
    Advertisers { advertisers: Advertiser }
    Campaigns { campaigns: Campaign }
    InsertionOrders { insertion_orders: InsertionOrder }
    LineItems { line_items: LineItem }
    Queries { queries: Query }
    Reports { reports: Report }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Partner {
    pub(super) partner_id: String,
    #[serde(default)]
    pub(super) display_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Advertiser {
    pub(super) advertiser_id: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) entity_status: Status,
    pub(super) general_config: GeneralConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GeneralConfig {
    pub(super) currency_code: String,
    pub(super) time_zone: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Campaign {
    pub(super) campaign_id: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) entity_status: Status,
    #[serde(default)]
    pub(super) campaign_flight: CampaignFlight,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CampaignFlight {
    #[serde(default)]
    pub(super) planned_spend_amount_micros: Option<Micros>,
    #[serde(default)]
    pub(super) planned_dates: Option<DateRange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InsertionOrder {
    pub(super) insertion_order_id: String,
    pub(super) campaign_id: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) entity_status: Status,
    #[serde(default)]
    pub(super) pacing: Pacing,
    #[serde(default)]
    pub(super) budget: OrderBudget,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderBudget {
    #[serde(default)]
    pub(super) budget_unit: String,
    #[serde(default)]
    pub(super) budget_segments: Vec<BudgetSegment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetSegment {
    pub(super) budget_amount_micros: Option<Micros>,
    pub(super) date_range: Option<DateRange>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineItem {
    pub(super) line_item_id: String,
    pub(super) insertion_order_id: String,
    pub(super) campaign_id: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) entity_status: Status,
    #[serde(default)]
    pub(super) flight: LineFlight,
    #[serde(default)]
    pub(super) budget: LineBudget,
    #[serde(default)]
    pub(super) pacing: Pacing,
    pub(super) update_time: Option<DateTime<Utc>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineFlight {
    #[serde(default)]
    pub(super) flight_date_type: String,
    pub(super) date_range: Option<DateRange>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineBudget {
    #[serde(default)]
    pub(super) budget_allocation_type: String,
    #[serde(default)]
    pub(super) budget_unit: String,
    pub(super) max_amount: Option<Micros>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pacing {
    #[serde(default)]
    pub(super) pacing_period: String,
    pub(super) daily_max_micros: Option<Micros>,
}

impl Pacing {
    /// The most that may be spent in a day, where such a limit is in force.
    pub(super) fn daily_budget(&self, currency: Currency) -> Option<Money> {
        let daily = self.daily_max_micros.filter(|_| self.pacing_period == "PACING_PERIOD_DAILY")?;
        Some(Money::from_micros(daily.0, currency))
    }
}

/// The body of a change of a line's daily budget.
#[derive(Debug, Serialize)]
pub(super) struct DailyBudgetPatch {
    pub(super) pacing: DailyMax,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DailyMax {
    pub(super) daily_max_micros: Micros,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query {
    pub(super) query_id: String,
    pub(super) metadata: QueryMetadata,
}

#[derive(Debug, Deserialize)]
pub(super) struct QueryMetadata {
    #[serde(default)]
    pub(super) title: String,
}

/// The body that makes a query.
#[derive(Debug, Serialize)]
pub(super) struct NewQuery {
    pub(super) metadata: NewQueryMetadata,
    pub(super) params: QueryParams,
    pub(super) schedule: Schedule,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewQueryMetadata {
    pub(super) title: String,
    pub(super) data_range: DataRange,
    pub(super) format: &'static str,
    pub(super) send_notification: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryParams {
    pub(super) r#type: String,
    pub(super) group_bys: Vec<String>,
    pub(super) filters: Vec<Filter>,
    pub(super) metrics: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Filter {
    pub(super) r#type: &'static str,
    pub(super) value: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Schedule {
    pub(super) frequency: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunQuery {
    pub(super) data_range: DataRange,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataRange {
    range: &'static str,
    custom_start_date: Date,
    custom_end_date: Date,
}

impl From<DayRange> for DataRange {
    fn from(days: DayRange) -> Self {
        let (first, last) = (Date(days.first()), Date(days.last()));
        Self { range: "CUSTOM_DATES", custom_start_date: first, custom_end_date: last }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) key: ReportKey,
    pub(super) metadata: ReportMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportKey {
    pub(super) report_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportMetadata {
    #[serde(default)]
    pub(super) status: ReportStatus,
    pub(super) google_cloud_storage_path: Option<String>,
    pub(super) report_data_start_date: Option<Date>,
    pub(super) report_data_end_date: Option<Date>,
}

impl ReportMetadata {
    /// The days that the report is about.
    pub(super) fn days(&self) -> Option<DayRange> {
        DayRange::new(self.report_data_start_date?.0, self.report_data_end_date?.0)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportStatus {
    #[serde(default)]
    pub(super) state: String,
    pub(super) finish_time: Option<DateTime<Utc>>,
}

/// An entity's status. What is not known here is taken as paused: nothing is ever proposed for a paused entity.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "String")]
pub(super) enum Status {
    Active,
    Draft,
    Archived,
    #[default]
    Paused,
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        match text.as_str() {
            "ENTITY_STATUS_ACTIVE" => Self::Active,
            "ENTITY_STATUS_DRAFT" => Self::Draft,
            "ENTITY_STATUS_ARCHIVED" | "ENTITY_STATUS_SCHEDULED_FOR_DELETION" => Self::Archived,
            _ => Self::Paused,
        }
    }
}

impl From<Status> for EntityStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Draft => Self::Draft,
            Status::Archived => Self::Archived,
            Status::Paused => Self::Paused,
        }
    }
}

/// Millionths of a unit. Google writes 64-bit integers as text; a number is understood as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Micros(pub(super) i64);

impl Serialize for Micros {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(i64),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(micros) => Ok(Self(micros)),
            Form::Text(text) => text.parse().map(Self).map_err(de::Error::custom),
        }
    }
}

/// A date in Google's three parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(pub(super) NaiveDate);

#[derive(Deserialize, Serialize)]
struct DateParts {
    year: i32,
    month: u32,
    day: u32,
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use chrono::Datelike as _;
        DateParts { year: self.0.year(), month: self.0.month(), day: self.0.day() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DateParts { year, month, day } = DateParts::deserialize(deserializer)?;
        NaiveDate::from_ymd_opt(year, month, day)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("there is no day {year}-{month}-{day}")))
    }
}

/// Days that may lack an end.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DateRange {
    start_date: Option<Date>,
    end_date: Option<Date>,
}

impl DateRange {
    pub(super) fn days(self) -> Option<DayRange> {
        DayRange::new(self.start_date?.0, self.end_date?.0)
    }
}
