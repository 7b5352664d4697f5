//! Configuration: environment variables, nothing else. Every secret can come from a file instead (`*_FILE`).
//!
//! No behaviour depends on a name such as "production". A platform's endpoints are a named environment of the
//! deployment; a tenant's row holds that name, never a URL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use domain::Platform;
use secrecy::SecretString;

use crate::master_keys::MasterKeys;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable is needed and not there.
    #[error("{name} is not set: {help}")]
    Missing {
        /// The variable.
        name: String,
        /// What it is for.
        help: &'static str,
    },
    /// A variable's text can't be used.
    #[error("{name} can't be used: {reason}")]
    Unusable {
        /// The variable.
        name: String,
        /// Why.
        reason: String,
    },
    /// The file that holds a secret can't be read.
    #[error("the file named by {name} can't be read")]
    Unreadable {
        /// The variable.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The endpoints of one platform, under a name such as `dv360.live`.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The name that a connection's row holds.
    pub name: String,
    /// The platform.
    pub platform: Platform,
    /// The page on which a person consents.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// Where a grant is withdrawn.
    pub revoke_url: String,
    /// The base of the entities' API.
    pub entities_url: String,
    /// The base of the reports' API.
    pub reports_url: String,
    /// Our client's id.
    pub client_id: String,
    /// Our client's secret.
    pub client_secret: SecretString,
    /// Seconds of silence after which an answer to a read counts as lost; changes and downloads are given twice as long.
    pub answer_seconds: u32,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The mail server: `smtps://user:password@host`, or `smtp://host:port` within a network that is trusted.
    pub smtp_url: SecretString,
    /// Whom mails come from: an address, or a name with an address in angle brackets.
    pub from: String,
}

/// A document that people agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Legal {
    /// Which version of it holds: another one is to be agreed to anew.
    pub version: String,
    /// Where it can be read.
    pub url: String,
}

/// So many requests in a minute; all of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub per_minute: u32,
}

/// How many requests the API answers. The usual numbers are far above what the web application asks for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For one person, in all their browsers.
    pub user: Rate,
    /// For one API key.
    pub api_key: Rate,
    /// For all members of one organisation, and their keys.
    pub organisation: Rate,
    /// For one address of the network, of what is asked without being signed in.
    pub address: Rate,
    /// How many proxies in front of the API add to `X-Forwarded-For`; with 0 the header is not believed.
    pub trusted_proxies: usize,
    /// Redis, where several replicas are to share the limits.
    pub redis_url: Option<SecretString>,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |per_minute| Rate { per_minute };
        Self {
            user: rate(1_200),
            api_key: rate(1_200),
            organisation: rate(6_000),
            address: rate(300),
            trusted_proxies: 0,
            redis_url: None,
        }
    }
}

/// What an organisation may have and ask for, where its operator has not said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowances {
    /// Connections.
    pub connections: u32,
    /// Runs that people ask for, in an hour.
    pub runs_per_hour: u32,
    /// Rows of reports that are read for it, in a day (UTC).
    pub rows_per_day: u64,
}

impl Default for Allowances {
    fn default() -> Self {
        Self { connections: 50, runs_per_hour: 60, rows_per_day: 50_000_000 }
    }
}

/// What `api` and `worker` need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// PostgreSQL, as the app role.
    pub database_url: SecretString,
    /// The Temporal server, `host:port`.
    pub temporal_address: String,
    /// The Temporal namespace.
    pub temporal_namespace: String,
    /// The folder that holds the lake's tables.
    pub warehouse: String,
    /// The keys that wrap the keys that seal secrets.
    pub master_keys: MasterKeys,
    /// The file of a simulated clock; the machine's clock where there is none.
    pub clock_file: Option<PathBuf>,
    /// Where people reach the web application, without a slash at the end.
    pub public_url: String,
    /// How mail is sent; without it, links are shown to be passed on by hand.
    pub mail: Option<Mail>,
    /// The terms of use.
    pub terms: Legal,
    /// The privacy notice.
    pub privacy: Legal,
    /// Whether organisations' identity providers may be at private addresses and without TLS: for tests and for deployments
    /// that trust all their organisations with their network.
    pub sso_private: bool,
    /// Seconds between two ticks of an organisation's schedule.
    pub tick_seconds: u32,
    /// How many requests are answered.
    pub limits: Limits,
    /// What an organisation may have.
    pub allowances: Allowances,
    /// The platforms that can be connected, by the name of their environment.
    pub environments: BTreeMap<String, Environment>,
}

const GOOGLE_AUTHORIZE: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const GOOGLE_TOKEN: &str = "https://oauth2.googleapis.com/token";
const GOOGLE_REVOKE: &str = "https://oauth2.googleapis.com/revoke";
const DISPLAY_VIDEO: &str = "https://displayvideo.googleapis.com";
const BID_MANAGER: &str = "https://doubleclickbidmanager.googleapis.com";
const QUARTER_HOUR: u32 = 900;
const HALF_MINUTE: u32 = 30;

impl Settings {
    /// Reads the configuration from the environment.
    ///
    /// # Errors
    /// Names the first variable that is missing or can't be used.
    pub fn from_env() -> Result<Self, Error> {
        Self::read(&variable)
    }

    fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let text = |name: &str, otherwise: &str| get(name).unwrap_or_else(|| otherwise.to_owned());
        let public_url = text("CLP_PUBLIC_URL", "http://127.0.0.1:8080").trim_end_matches('/').to_owned();
        let dv360 = dv360(get)?;
        Ok(Self {
            database_url: secret(get, "CLP_DATABASE_URL", "the PostgreSQL URL of the app role")?,
            temporal_address: text("TEMPORAL_ADDRESS", "127.0.0.1:7233"),
            temporal_namespace: text("TEMPORAL_NAMESPACE", "default"),
            warehouse: get("CLP_WAREHOUSE")
                .ok_or_else(|| missing("CLP_WAREHOUSE", "the folder that holds the lake's tables"))?,
            master_keys: MasterKeys::read(get)?,
            clock_file: get("CLP_CLOCK_FILE").map(PathBuf::from),
            mail: mail(get)?,
            sso_private: get("CLP_SSO_PRIVATE").is_some_and(|text| text == "1"),
            terms: Legal {
                version: text("CLP_TERMS_VERSION", "1"),
                url: text("CLP_TERMS_URL", &format!("{public_url}/legal/terms")),
            },
            privacy: Legal {
                version: text("CLP_PRIVACY_VERSION", "1"),
                url: text("CLP_PRIVACY_URL", &format!("{public_url}/legal/privacy")),
            },
            public_url,
            tick_seconds: number(get, "CLP_TICK_SECONDS", QUARTER_HOUR)?,
            limits: limits(get)?,
            allowances: allowances(get)?,
            environments: dv360.into_iter().map(|environment| (environment.name.clone(), environment)).collect(),
        })
    }

    /// The environment in which new connections of a platform are made.
    #[must_use]
    pub fn environment_for(&self, platform: Platform) -> Option<&Environment> {
        self.environments.values().find(|environment| environment.platform == platform)
    }
}

/// Google's own endpoints, or those of another environment that the variables name.
fn dv360(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Environment>, Error> {
    let Some(client_id) = get("CLP_DV360_CLIENT_ID") else { return Ok(None) };
    let text = |name: &str, otherwise: &str| {
        get(name).unwrap_or_else(|| otherwise.to_owned()).trim_end_matches('/').to_owned()
    };
    Ok(Some(Environment {
        name: text("CLP_DV360_ENVIRONMENT", "dv360.live"),
        platform: Platform::Dv360,
        authorize_url: text("CLP_DV360_AUTHORIZE_URL", GOOGLE_AUTHORIZE),
        token_url: text("CLP_DV360_TOKEN_URL", GOOGLE_TOKEN),
        revoke_url: text("CLP_DV360_REVOKE_URL", GOOGLE_REVOKE),
        entities_url: text("CLP_DV360_DISPLAY_VIDEO_URL", DISPLAY_VIDEO),
        reports_url: text("CLP_DV360_BID_MANAGER_URL", BID_MANAGER),
        client_id,
        client_secret: secret(get, "CLP_DV360_CLIENT_SECRET", "the secret of the Google OAuth client")?,
        answer_seconds: number(get, "CLP_DV360_ANSWER_SECONDS", HALF_MINUTE)?,
    }))
}

fn allowances(get: &dyn Fn(&str) -> Option<String>) -> Result<Allowances, Error> {
    let usual = Allowances::default();
    Ok(Allowances {
        connections: number(get, "CLP_CONNECTIONS_PER_ORGANISATION", usual.connections)?.max(1),
        runs_per_hour: number(get, "CLP_RUNS_PER_HOUR", usual.runs_per_hour)?.max(1),
        rows_per_day: number(get, "CLP_ROWS_PER_DAY", usual.rows_per_day)?.max(1),
    })
}

fn limits(get: &dyn Fn(&str) -> Option<String>) -> Result<Limits, Error> {
    let usual = Limits::default();
    let rate = |name: &str, usual: Rate| match number(get, name, usual.per_minute)? {
        0 => Err(Error::Unusable { name: name.to_owned(), reason: "it must be at least 1".into() }),
        per_minute => Ok(Rate { per_minute }),
    };
    let redis_url = match get("CLP_REDIS_URL").or_else(|| get("CLP_REDIS_URL_FILE")) {
        Some(_) => Some(secret(get, "CLP_REDIS_URL", "the Redis that replicas share")?),
        None => None,
    };
    Ok(Limits {
        user: rate("CLP_USER_REQUESTS_PER_MINUTE", usual.user)?,
        api_key: rate("CLP_API_KEY_REQUESTS_PER_MINUTE", usual.api_key)?,
        organisation: rate("CLP_ORGANISATION_REQUESTS_PER_MINUTE", usual.organisation)?,
        address: rate("CLP_ADDRESS_REQUESTS_PER_MINUTE", usual.address)?,
        trusted_proxies: number(get, "CLP_TRUSTED_PROXIES", 0)?,
        redis_url,
    })
}

/// A mail server, where one is configured.
fn mail(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Mail>, Error> {
    const HELP: &str = "the mail server, such as smtps://user:password@host";
    if get("CLP_SMTP_URL").is_none() && get("CLP_SMTP_URL_FILE").is_none() {
        return Ok(None);
    }
    let from = get("CLP_MAIL_FROM").ok_or_else(|| missing("CLP_MAIL_FROM", "the address that mails come from"))?;
    Ok(Some(Mail { smtp_url: secret(get, "CLP_SMTP_URL", HELP)?, from }))
}

/// A variable of the environment that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

pub(crate) fn missing(name: &str, help: &'static str) -> Error {
    Error::Missing { name: name.to_owned(), help }
}

/// A secret from its variable, or from the file that `<name>_FILE` names.
pub(crate) fn secret(
    get: &dyn Fn(&str) -> Option<String>,
    name: &str,
    help: &'static str,
) -> Result<SecretString, Error> {
    optional_secret(get, name)?.ok_or_else(|| missing(name, help))
}

/// A secret that need not be there.
pub(crate) fn optional_secret(get: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<SecretString>, Error> {
    if let Some(text) = get(name) {
        return Ok(Some(text.into()));
    }
    let variable = format!("{name}_FILE");
    let Some(file) = get(&variable) else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(|source| Error::Unreadable { name: variable, source })?;
    Ok(Some(text.trim_end().to_owned().into()))
}

fn number<N: FromStr>(get: &dyn Fn(&str) -> Option<String>, name: &str, otherwise: N) -> Result<N, Error> {
    get(name).map_or(Ok(otherwise), |text| {
        text.parse().map_err(|_| Error::Unusable { name: name.to_owned(), reason: "it is not a whole number".into() })
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const LEAST: [(&str, &str); 3] =
        [("CLP_DATABASE_URL", "postgres://app:hidden@db/clp"), ("CLP_WAREHOUSE", "/lake"), ("CLP_MASTER_KEY", "key")];

    #[test]
    fn what_is_missing_is_named_with_what_it_is_for() {
        let error = read(&LEAST[..2]).unwrap_err().to_string();
        assert_eq!(
            error,
            "CLP_MASTER_KEY is not set: 32 random bytes in base64 that wrap the keys of the platforms' tokens"
        );
    }

    #[test]
    fn a_platform_without_a_client_id_can_t_be_connected() {
        let settings = read(&LEAST).unwrap();
        assert!(settings.environment_for(Platform::Dv360).is_none());
        assert_eq!(settings.tick_seconds, 900);
    }

    #[test]
    fn limits_are_numbers_from_one_on() {
        let with = |name, value| read(&[LEAST.as_slice(), &[(name, value)]].concat());
        assert_eq!(with("CLP_USER_REQUESTS_PER_MINUTE", "7").unwrap().limits.user.per_minute, 7);
        assert_eq!(with("CLP_TRUSTED_PROXIES", "2").unwrap().limits.trusted_proxies, 2);
        let error = with("CLP_ADDRESS_REQUESTS_PER_MINUTE", "0").unwrap_err().to_string();
        assert_eq!(error, "CLP_ADDRESS_REQUESTS_PER_MINUTE can't be used: it must be at least 1");
    }

    #[test]
    fn a_secret_can_come_from_a_file_and_is_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "from-a-file\n").unwrap();
        let settings = read(&[LEAST[0], LEAST[1], ("CLP_MASTER_KEY_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.master_keys.current.as_ref().unwrap().expose_secret(), "from-a-file");
        let printed = format!("{settings:?}");
        assert!(!printed.contains("from-a-file") && !printed.contains("hidden"));
    }
}
