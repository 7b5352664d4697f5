//! Who consented to what, and the tokens that followed. Tokens look random but derive from the seed
//! and a counter, so that a run can be repeated.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::random::sign;

/// How long an access token lives, in seconds.
pub const ACCESS_TOKEN_SECONDS: i64 = 3_599;

/// How long an authorization code lives, in seconds.
const CODE_SECONDS: i64 = 600;

/// What a person allowed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Consent {
    /// The person's e-mail address.
    pub email: String,
    /// The OAuth client, which is also the quota project.
    pub client_id: String,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// The PKCE challenge, if the client sent one.
    pub challenge: Option<String>,
    /// Whether a refresh token was asked for.
    pub offline: bool,
    /// Whether consent was asked for again although it may exist.
    pub forced: bool,
}

/// What a token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// The person's e-mail address.
    pub email: String,
    /// The OAuth client.
    pub client_id: String,
    /// The scopes, separated by spaces.
    pub scope: String,
    revoked: bool,
}

/// The tokens of one answer of the token endpoint.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token, if one is given out.
    pub refresh: Option<String>,
    /// The scopes granted.
    pub scope: String,
}

/// Why the token endpoint says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The code is unknown, used, too old, or was given to another client or address.
    Code,
    /// The PKCE verifier does not match.
    Verifier,
    /// The refresh token is unknown or revoked.
    RefreshToken,
}

/// All consents, codes and tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Accounts {
    seed: u64,
    issued: u64,
    codes: BTreeMap<String, (Consent, DateTime<Utc>)>,
    grants: Vec<Grant>,
    refresh_tokens: BTreeMap<String, usize>,
    access_tokens: BTreeMap<String, (usize, DateTime<Utc>)>,
}

impl Accounts {
    /// Nobody has consented to anything.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            issued: 0,
            codes: BTreeMap::new(),
            grants: Vec::new(),
            refresh_tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
        }
    }

    /// Makes the code that a consent sends back to the client.
    pub fn issue_code(&mut self, consent: Consent, now: DateTime<Utc>) -> String {
        self.codes.retain(|_, (_, expires_at)| *expires_at > now);
        let code = self.token("4/0A", "code");
        self.codes.insert(code.clone(), (consent, now + TimeDelta::seconds(CODE_SECONDS)));
        code
    }

    /// Exchanges a code for tokens. A code is used up by the first attempt.
    ///
    /// # Errors
    /// When the code, the address or the verifier is not the right one.
    pub fn exchange(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Tokens, Refusal> {
        let (consent, expires_at) = self.codes.remove(code).ok_or(Refusal::Code)?;
        if now >= expires_at || consent.client_id != client_id || consent.redirect_uri != redirect_uri {
            return Err(Refusal::Code);
        }
        if let Some(challenge) = &consent.challenge
            && verifier.map(challenge_of).as_ref() != Some(challenge)
        {
            return Err(Refusal::Verifier);
        }
        // As with Google, a repeated silent consent brings no second refresh token.
        let known = self
            .grants
            .iter()
            .any(|grant| !grant.revoked && grant.email == consent.email && grant.client_id == consent.client_id);
        let index = self.grants.len();
        self.grants.push(Grant {
            email: consent.email,
            client_id: consent.client_id,
            scope: consent.scope,
            revoked: false,
        });
        let refresh = (consent.offline && (consent.forced || !known)).then(|| self.token("1//0", "refresh"));
        if let Some(token) = &refresh {
            self.refresh_tokens.insert(token.clone(), index);
        }
        Ok(self.access(index, refresh, now))
    }

    /// Makes a new access token from a refresh token.
    ///
    /// # Errors
    /// When the refresh token is not good for this client any more.
    pub fn refresh(&mut self, token: &str, client_id: &str, now: DateTime<Utc>) -> Result<Tokens, Refusal> {
        let index = *self.refresh_tokens.get(token).ok_or(Refusal::RefreshToken)?;
        let grant = self.grants.get(index).filter(|grant| !grant.revoked && grant.client_id == client_id);
        grant.ok_or(Refusal::RefreshToken)?;
        Ok(self.access(index, None, now))
    }

    /// Whose access token this is, if it is valid now.
    #[must_use]
    pub fn grant(&self, access_token: &str, now: DateTime<Utc>) -> Option<&Grant> {
        let (index, expires_at) = self.access_tokens.get(access_token)?;
        self.grants.get(*index).filter(|grant| !grant.revoked && now < *expires_at)
    }

    /// Revokes the consent behind a token of either kind; false when there is none.
    pub fn revoke(&mut self, token: &str) -> bool {
        let index = self.refresh_tokens.get(token).or_else(|| self.access_tokens.get(token).map(|(index, _)| index));
        let Some(grant) = index.copied().and_then(|index| self.grants.get_mut(index)) else { return false };
        !std::mem::replace(&mut grant.revoked, true)
    }

    /// Revokes everything that a person consented to; returns how many consents that were.
    pub fn revoke_user(&mut self, email: &str) -> usize {
        let mut revoked = 0;
        for grant in self.grants.iter_mut().filter(|grant| grant.email == email && !grant.revoked) {
            grant.revoked = true;
            revoked += 1;
        }
        self.codes.retain(|_, (consent, _)| consent.email != email);
        revoked
    }

    fn access(&mut self, index: usize, refresh: Option<String>, now: DateTime<Utc>) -> Tokens {
        let access = self.token("ya29.a0", "access");
        let expires_at = now + TimeDelta::seconds(ACCESS_TOKEN_SECONDS);
        self.access_tokens.retain(|_, (_, expires_at)| *expires_at > now);
        self.access_tokens.insert(access.clone(), (index, expires_at));
        let scope = self.grants.get(index).map(|grant| grant.scope.clone()).unwrap_or_default();
        Tokens { access, refresh, scope }
    }

    fn token(&mut self, prefix: &str, purpose: &str) -> String {
        self.issued += 1;
        format!("{prefix}{}", sign(self.seed, purpose, &self.issued.to_string()))
    }
}

/// The S256 challenge of a PKCE verifier.
#[must_use]
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(challenge: Option<&str>) -> Consent {
        Consent {
            email: "planner@agency.example".into(),
            client_id: "client".into(),
            scope: "a b".into(),
            redirect_uri: "http://localhost/back".into(),
            challenge: challenge.map(Into::into),
            offline: true,
            forced: false,
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_code_works_once_and_only_with_its_verifier() {
        let (mut accounts, now) = (Accounts::new(7), Utc::now());
        let challenge = challenge_of("right");
        let code = accounts.issue_code(consent(Some(&challenge)), now);
        let wrong = accounts.exchange(&code, "client", "http://localhost/back", Some("wrong"), now);
        assert_eq!(wrong.unwrap_err(), Refusal::Verifier);
        let code = accounts.issue_code(consent(Some(&challenge)), now);
        let tokens = accounts.exchange(&code, "client", "http://localhost/back", Some("right"), now).unwrap();
        assert!(accounts.grant(&tokens.access, now).is_some());
        let again = accounts.exchange(&code, "client", "http://localhost/back", Some("right"), now);
        assert_eq!(again.unwrap_err(), Refusal::Code);
    }

    #[test]
    fn tokens_die_with_time_and_with_the_consent() {
        let (mut accounts, now) = (Accounts::new(7), Utc::now());
        let code = accounts.issue_code(consent(None), now);
        let tokens = accounts.exchange(&code, "client", "http://localhost/back", None, now).unwrap();
        let refresh = tokens.refresh.unwrap();
        assert!(accounts.grant(&tokens.access, now + TimeDelta::seconds(3_598)).is_some());
        assert!(accounts.grant(&tokens.access, now + TimeDelta::seconds(3_599)).is_none());
        assert!(accounts.refresh(&refresh, "other", now).is_err());
        assert!(accounts.refresh(&refresh, "client", now).is_ok());
        assert_eq!(accounts.revoke_user("planner@agency.example"), 1);
        assert_eq!(accounts.refresh(&refresh, "client", now).unwrap_err(), Refusal::RefreshToken);
        assert!(accounts.grant(&tokens.access, now).is_none());
    }
}
