//! One setting of a line: as it is in force, and changed to an absolute value.

use domain::entity::Field;
use domain::{Level, Money, Platform};

use super::client::Client;
use super::wire::{DailyBudgetPatch, DailyMax, LineItem, Micros};
use crate::access::Access;
use crate::ad_platform::{Applied, Live, Setting};
use crate::error::{Error, Result};
use crate::http::Subject;

impl Client {
    pub(super) async fn read_live(&self, access: &Access, setting: &Setting<'_>) -> Result<Live> {
        let path = line_path(setting)?;
        let request = self.entity_read(Subject::Item, Some(&setting.account.platform_id), &path);
        let line: LineItem = self.call(access, &request).await?;
        Ok(Live {
            value: line.pacing.daily_budget(setting.account.currency),
            status: line.entity_status.into(),
            updated_at: line.update_time,
        })
    }

    /// Names the one changed field in the mask, so that nothing else of the line can be written over.
    pub(super) async fn apply(&self, access: &Access, setting: &Setting<'_>, after: Money) -> Result<Applied> {
        let path = line_path(setting)?;
        let account = &setting.account.platform_id;
        let body = DailyBudgetPatch { pacing: DailyMax { daily_max_micros: micros(setting, after)? } };
        let mut request = self.change(account, &path, &body)?;
        request.url.query_pairs_mut().append_pair("updateMask", "pacing.dailyMaxMicros");
        let line: LineItem = self.call(access, &request).await?;
        Ok(Applied { value: line.pacing.daily_budget(setting.account.currency), updated_at: line.update_time })
    }
}

fn line_path<'a>(setting: &Setting<'a>) -> Result<[&'a str; 4]> {
    match (setting.level, setting.field) {
        (Level::Line, Field::DailyBudget) => {
            Ok(["advertisers", &setting.account.platform_id, "lineItems", setting.platform_id])
        }
        (level, field) => Err(refused(setting, format!("DV360 has no {field} that can be set on the level {level}"))),
    }
}

/// The amount on the wire. One that the wire would cut, or that DV360 would round, is refused: what was approved is not
/// what would be in force.
fn micros(setting: &Setting<'_>, after: Money) -> Result<Micros> {
    let account = setting.account;
    if after.currency() != account.currency {
        let (amount, currency) = (after.currency(), account.currency);
        return Err(refused(setting, format!("an amount in {amount} can't be set on an account in {currency}")));
    }
    let unit = Platform::Dv360.billable_unit(account.currency);
    if !after.is_multiple_of(unit) {
        return Err(refused(
            setting,
            format!("{after} is no multiple of {unit}, the smallest amount that DV360 bills"),
        ));
    }
    match after.to_micros() {
        Ok(micros) if Money::from_micros(micros, account.currency) == after => Ok(Micros(micros)),
        _ => Err(refused(setting, format!("{after} has no exact form in millionths"))),
    }
}

fn refused(setting: &Setting<'_>, message: String) -> Error {
    Error::not_sent(message, Some(setting.account.platform_id.clone()))
}
