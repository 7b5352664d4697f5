//! The transit engine of HashiCorp Vault (and of OpenBao, which speaks the same): keys that never leave it.
//!
//! Two calls of its HTTP API: `POST /v1/<mount>/encrypt/<key>` and `/decrypt/<key>`, with associated data. The key must be of
//! a type that takes it: `aes256-gcm96`, which is Vault's own choice.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode, redirect};
use runtime::master_keys::{Transit as Settings, VaultToken};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use crate::master::Wrapped;

/// How long Vault may take. A transaction may be open meanwhile.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Of Vault's own words as many are kept as a log line bears.
const MOST_WORDS: usize = 300;

/// Why Vault's transit engine did not do what it was asked, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TransitError {
    /// The address is none.
    #[error("CLP_VAULT_ADDR is no address such as https://vault.example:8200")]
    Address,
    /// The token's file can't be read.
    #[error("the file named by CLP_VAULT_TOKEN_FILE can't be read")]
    Token(#[source] std::io::Error),
    /// No answer.
    #[error("Vault can't be reached: see whether it runs and CLP_VAULT_ADDR is right")]
    Unreachable(#[source] reqwest::Error),
    /// It is sealed or stands by.
    #[error("Vault is sealed or standing by ({status}): unseal it, or name the active one in CLP_VAULT_ADDR: {said}")]
    Sealed {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        said: String,
    },
    /// The token is not valid, or may not use the key.
    #[error(
        "Vault refused the token: renew CLP_VAULT_TOKEN, and let its policy update {mount}/encrypt/{key} and \
         {mount}/decrypt/{key}: {said}"
    )]
    Denied {
        /// The mount of the engine.
        mount: String,
        /// The key.
        key: String,
        /// What it said.
        said: String,
    },
    /// It did not accept what was sent: no such key, another type of key, or a ciphertext of somebody else.
    #[error("Vault refused the request ({status}): see that the key of CLP_VAULT_TRANSIT_KEY is there: {said}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        said: String,
    },
    /// An answer that nobody can read.
    #[error("the answer is not one of Vault's: see what CLP_VAULT_ADDR leads to")]
    Unreadable,
}

/// A key in Vault.
#[derive(Debug)]
pub(crate) struct Transit {
    http: Client,
    base: Url,
    mount: String,
    key: String,
    namespace: Option<String>,
    token: VaultToken,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: SecretString,
}

/// What every refusal holds.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<String>,
}

impl TransitError {
    /// Whether it may pass, or what is to be mended is outside of what is stored.
    pub(crate) const fn is_transient(&self) -> bool {
        !matches!(self, Self::Address | Self::Refused { .. })
    }
}

impl Transit {
    pub(crate) fn new(settings: &Settings) -> Result<Self, TransitError> {
        let Settings { address, mount, key, namespace, token } = settings;
        let base = Url::parse(address).ok().filter(|url| !url.cannot_be_a_base()).ok_or(TransitError::Address)?;
        let builder = Client::builder().timeout(ANSWERS_WITHIN).redirect(redirect::Policy::none());
        let http = builder.build().map_err(TransitError::Unreachable)?;
        let (mount, key) = (mount.trim_matches('/').to_owned(), key.clone());
        Ok(Self { http, base, mount, key, namespace: namespace.clone(), token: token.clone() })
    }

    /// Whether a master key of this name is this one, in whatever version.
    pub(crate) fn wrapped(&self, master: &str) -> bool {
        master.strip_prefix(&self.name()).is_some_and(|version| version.starts_with(":v"))
    }

    fn name(&self) -> String {
        format!("vault:{}/{}", self.mount, self.key)
    }

    pub(crate) async fn encrypt(&self, bound: &str, clear: &[u8]) -> Result<Wrapped, TransitError> {
        let plaintext = Zeroizing::new(STANDARD.encode(clear));
        let body = json!({"plaintext": *plaintext, "associated_data": STANDARD.encode(bound)});
        let Encrypted { ciphertext } = self.ask("encrypt", body).await?;
        // `vault:v3:…`: which version of the key it was.
        let version = ciphertext.split(':').nth(1).filter(|version| version.starts_with('v'));
        let master = format!("{}:{}", self.name(), version.ok_or(TransitError::Unreadable)?);
        Ok(Wrapped { master, bytes: ciphertext.into_bytes() })
    }

    pub(crate) async fn decrypt(&self, bound: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransitError> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| TransitError::Unreadable)?;
        let body = json!({"ciphertext": ciphertext, "associated_data": STANDARD.encode(bound)});
        let Decrypted { plaintext } = self.ask("decrypt", body).await?;
        STANDARD.decode(plaintext.expose_secret()).map(Zeroizing::new).map_err(|_| TransitError::Unreadable)
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, what: &str, mut body: Value) -> Result<T, TransitError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(self.mount.split('/')).extend([what, &self.key]);
        }
        let token = self.token.read().map_err(TransitError::Token)?;
        let mut request = self.http.post(url).header("X-Vault-Token", token.expose_secret()).json(&body);
        forget(&mut body);
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        let response = request.send().await.map_err(|error| TransitError::Unreachable(error.without_url()))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| TransitError::Unreachable(error.without_url()))?;
        if status.is_success() {
            let answer: Answer<T> = serde_json::from_slice(&bytes).map_err(|_| TransitError::Unreadable)?;
            return Ok(answer.data);
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&bytes).ok();
        Err(self.refusal(status, refusal))
    }

    fn refusal(&self, status: StatusCode, refusal: Option<Refusal>) -> TransitError {
        let said: String = refusal.unwrap_or_default().errors.join("; ").chars().take(MOST_WORDS).collect();
        match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                TransitError::Denied { mount: self.mount.clone(), key: self.key.clone(), said }
            }
            StatusCode::TOO_MANY_REQUESTS => TransitError::Sealed { status, said },
            status if status.is_server_error() || status.as_u16() == 472 || status.as_u16() == 473 => {
                TransitError::Sealed { status, said }
            }
            _ => TransitError::Refused { status, said },
        }
    }
}

/// Overwrites the texts of a request that was written.
fn forget(body: &mut Value) {
    for value in body.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
        if let Value::String(text) = value {
            text.zeroize();
        }
    }
}
