//! The truth about delivery: an append-only list of entries per line item. Deliveries and
//! restatements are both entries; each has the instant from which a report may show it, so that what
//! a report said at any past moment can be recomputed. Knows nothing of reports, HTTP or entities.

pub mod delivery;
pub mod oracle;
pub mod restate;

use std::collections::BTreeMap;
use std::ops::{AddAssign, RangeInclusive};

use chrono::{DateTime, NaiveDate, Utc};

pub use delivery::{Terms, Traits};

/// How long after the end of an hour its delivery shows up in reports.
pub const LAG_SECONDS: i64 = 3 * 3_600;

/// What was measured for one slice of delivery. Money in micros of the advertiser's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Ads shown.
    pub impressions: i64,
    /// Clicks on them.
    pub clicks: i64,
    /// What the media cost.
    pub media_cost_micros: i64,
    /// What the advertiser is charged.
    pub revenue_micros: i64,
    /// Conversions in hundredths: attribution gives fractions.
    pub conversions_centi: i64,
    /// Videos begun.
    pub video_starts: i64,
    /// Videos seen to the end.
    pub video_completes: i64,
    /// Impressions seen, as Active View says.
    pub viewable: i64,
    /// Impressions that Active View could measure.
    pub measurable: i64,
    /// Value of the conversions.
    pub conversion_value_micros: i64,
}

/// How many figures [`Metrics`] holds.
pub const METRIC_COUNT: usize = 10;

impl Metrics {
    /// The figures in the order of the fields.
    #[must_use]
    pub fn figures(&self) -> [i64; METRIC_COUNT] {
        [
            self.impressions,
            self.clicks,
            self.media_cost_micros,
            self.revenue_micros,
            self.conversions_centi,
            self.video_starts,
            self.video_completes,
            self.viewable,
            self.measurable,
            self.conversion_value_micros,
        ]
    }

    /// The metrics from figures in the order of the fields.
    #[must_use]
    pub fn from_figures(figures: [i64; METRIC_COUNT]) -> Self {
        let [impressions, clicks, media_cost_micros, revenue_micros, conversions_centi, ..] = figures;
        let [.., video_starts, video_completes, viewable, measurable, conversion_value_micros] = figures;
        Self {
            impressions,
            clicks,
            media_cost_micros,
            revenue_micros,
            conversions_centi,
            video_starts,
            video_completes,
            viewable,
            measurable,
            conversion_value_micros,
        }
    }

    /// Whether nothing at all was measured.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Metrics {
    fn add_assign(&mut self, other: Self) {
        let (mut sum, add) = (self.figures(), other.figures());
        for (figure, more) in sum.iter_mut().zip(add) {
            *figure += more;
        }
        *self = Self::from_figures(sum);
    }
}

/// The device on which an ad was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// A desktop or laptop computer.
    Desktop,
    /// A smart phone.
    SmartPhone,
    /// A tablet.
    Tablet,
    /// A television.
    ConnectedTv,
    /// Not said; a report file without the column.
    Unknown,
}

impl Device {
    /// The devices that generated delivery is spread over.
    pub const GENERATED: [Self; 3] = [Self::Desktop, Self::SmartPhone, Self::Tablet];

    /// The name as a report prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Desktop => "Desktop",
            Self::SmartPhone => "Smart Phone",
            Self::Tablet => "Tablet",
            Self::ConnectedTv => "Connected TV",
            Self::Unknown => "Unknown",
        }
    }

    /// The device with that report name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let all = [Self::Desktop, Self::SmartPhone, Self::Tablet, Self::ConnectedTv];
        all.into_iter().find(|device| device.name() == name).unwrap_or(Self::Unknown)
    }
}

/// The texts of one row of an imported report, so that it can be served again letter by letter.
pub type Texts = [Option<Box<str>>; METRIC_COUNT];

/// One line of the ledger. Never changed once written.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The advertiser's own day.
    pub day: NaiveDate,
    /// The advertiser's own hour; restatements and imports concern the whole day.
    pub hour: Option<u8>,
    /// Where the ads were shown.
    pub device: Device,
    /// Unix seconds from which a report may show this entry.
    pub visible_from: i64,
    /// What it adds.
    pub metrics: Metrics,
    /// One bit per figure that the source withheld ("< 1000").
    pub withheld: u16,
    /// Where the imported texts of this entry are kept.
    pub texts: Option<u32>,
}

/// Everything known about one line item's delivery.
#[derive(Debug, Default)]
pub struct Account {
    entries: Vec<Entry>,
    texts: Vec<Texts>,
    /// All entries by day and device, whether visible yet or not; restatements start from it.
    sums: BTreeMap<(NaiveDate, Device), Metrics>,
    /// What somebody's restatements have added and not taken back.
    restated: BTreeMap<(NaiveDate, Device), Metrics>,
    spent_micros: i64,
}

impl Account {
    fn append(&mut self, entry: Entry) {
        *self.sums.entry((entry.day, entry.device)).or_default() += entry.metrics;
        self.spent_micros += entry.metrics.media_cost_micros;
        self.entries.push(entry);
    }

    /// A correction is no spend: the money that paced the line stays as it was.
    fn correct(&mut self, day: NaiveDate, device: Device, difference: Metrics, visible_from: i64) {
        self.append(Entry { day, hour: None, device, visible_from, metrics: difference, withheld: 0, texts: None });
        self.spent_micros -= difference.media_cost_micros;
    }
}

/// The delivery of all line items.
#[derive(Debug)]
pub struct Ledger {
    seed: u64,
    /// The first hour (Unix hours) that has not been decided yet.
    undecided_hour: i64,
    accounts: BTreeMap<u64, Account>,
    bulk: BTreeMap<u64, delivery::BulkLine>,
}

impl Ledger {
    /// An empty ledger whose generated delivery begins at `start`.
    #[must_use]
    pub fn new(seed: u64, start: DateTime<Utc>) -> Self {
        let undecided_hour = start.timestamp().div_euclid(3_600);
        Self { seed, undecided_hour, accounts: BTreeMap::new(), bulk: BTreeMap::new() }
    }

    /// Adds a line whose delivery is computed when asked for instead of being kept.
    pub fn add_bulk_line(&mut self, line_item_id: u64, line: delivery::BulkLine) {
        self.bulk.insert(line_item_id, line);
    }

    /// Enters one row of an imported report, visible from the beginning of time.
    pub fn import(&mut self, line_item_id: u64, mut entry: Entry, texts: Texts) {
        let account = self.accounts.entry(line_item_id).or_default();
        entry.texts = u32::try_from(account.texts.len()).ok();
        account.texts.push(texts);
        account.append(entry);
    }

    /// The hour (Unix hours) from which delivery is still open.
    #[must_use]
    pub fn undecided_hour(&self) -> i64 {
        self.undecided_hour
    }

    /// Shows each entry of a line item that a report may show at `as_of`, in no particular order.
    pub fn visit(
        &self,
        line_item_id: u64,
        days: &RangeInclusive<NaiveDate>,
        as_of: DateTime<Utc>,
        show: &mut dyn FnMut(&Entry, Option<&Texts>),
    ) {
        let as_of = as_of.timestamp();
        if let Some(line) = self.bulk.get(&line_item_id) {
            line.visit(days, as_of, &mut |entry| show(entry, None));
        }
        let Some(account) = self.accounts.get(&line_item_id) else { return };
        for entry in &account.entries {
            if entry.visible_from <= as_of && days.contains(&entry.day) {
                let texts = entry.texts.and_then(|index| account.texts.get(index as usize));
                show(entry, texts);
            }
        }
    }
}
