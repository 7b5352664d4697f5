//! Partners and advertisers: the accounts that the user can see, and whether the user can see at all.

use domain::ErrorCode;
use serde::de::IgnoredAny;

use super::client::Client;
use super::oauth::SCOPES;
use super::wire::{Advertiser, Advertisers, Partner, Partners};
use crate::access::Access;
use crate::ad_platform::{Parent, PlatformAccount, Verified};
use crate::error::{Error, Result};
use crate::http::Subject;

const PAGE_SIZE: &str = "200";

impl Client {
    /// Renews the token, which proves it alive and tells its scopes, then reads one thing of each API, which proves
    /// that the scopes are good for something.
    pub(super) async fn verify_access(&self, access: &Access) -> Result<Verified> {
        let granted = access.scopes(self).await?;
        let lacks = |scope: &&str| !granted.iter().any(|granted| granted == scope);
        let missing: Vec<String> = SCOPES.into_iter().filter(lacks).map(str::to_owned).collect();
        if missing.is_empty() {
            for mut request in [self.entity_read(Subject::User, None, &["partners"]), self.report_read(&["queries"])] {
                request.url.query_pairs_mut().append_pair("pageSize", "1");
                self.call::<IgnoredAny>(access, &request).await?;
            }
        }
        Ok(Verified { granted, missing })
    }

    pub(super) async fn list_accounts(&self, access: &Access) -> Result<Vec<PlatformAccount>> {
        let partners = self.entity_read(Subject::User, None, &["partners"]);
        let mut accounts = Vec::new();
        for partner in self.list::<Partners>(access, partners, PAGE_SIZE).await? {
            match self.advertisers(access, &partner).await {
                Ok(advertisers) => accounts.extend(advertisers.into_iter().filter_map(|one| account(one, &partner))),
                // One partner that was withdrawn meanwhile does not hide the others.
                Err(error) if is_about_one_partner(&error) => {
                    tracing::warn!(dv360.partner = partner.partner_id, %error, "left out a partner that can't be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(accounts)
    }

    async fn advertisers(&self, access: &Access, partner: &Partner) -> Result<Vec<Advertiser>> {
        let mut request = self.entity_read(Subject::Account, None, &["advertisers"]);
        request.url.query_pairs_mut().append_pair("partnerId", &partner.partner_id);
        self.list::<Advertisers>(access, request, PAGE_SIZE).await
    }
}

fn is_about_one_partner(error: &Error) -> bool {
    error.code() == ErrorCode::AccountGone
}

/// An advertiser whose currency or zone has no name here could be read into no table: it is not offered.
fn account(advertiser: Advertiser, partner: &Partner) -> Option<PlatformAccount> {
    let config = &advertiser.general_config;
    let (Ok(currency), Ok(zone)) = (config.currency_code.parse(), config.time_zone.parse()) else {
        let (currency, zone) = (&config.currency_code, &config.time_zone);
        tracing::warn!(dv360.advertiser = advertiser.advertiser_id, currency, zone, "left out an advertiser");
        return None;
    };
    Some(PlatformAccount {
        platform_id: advertiser.advertiser_id,
        name: advertiser.display_name,
        currency,
        zone,
        status: advertiser.entity_status.into(),
        parent: Some(Parent { platform_id: partner.partner_id.clone(), name: partner.display_name.clone() }),
    })
}
