//! Where the master key comes from: the environment, a file, or HashiCorp Vault.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::settings::{Error, missing, optional_secret, secret};

const HELP: &str = "32 random bytes in base64 that wrap the keys of the platforms' tokens";

/// The master keys that a process is given. One wraps, the others may only unwrap.
#[derive(Debug, Clone, Default)]
pub struct MasterKeys {
    /// The key that wraps, 32 bytes in base64.
    pub current: Option<SecretString>,
    /// Keys of before.
    pub old: Vec<SecretString>,
    /// A key in Vault.
    pub transit: Option<Transit>,
    /// Which of the two wraps, where both are given.
    pub provider: Option<Provider>,
}

/// Who holds the key that wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// This process.
    Local,
    /// Vault.
    Vault,
}

/// A key of Vault's transit engine.
#[derive(Debug, Clone)]
pub struct Transit {
    /// Vault's address.
    pub address: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The key's name.
    pub key: String,
    /// The namespace, where Vault has some.
    pub namespace: Option<String>,
    /// What lets us use it.
    pub token: VaultToken,
}

/// A token for Vault.
#[derive(Debug, Clone)]
pub enum VaultToken {
    /// This one.
    Text(SecretString),
    /// The one in a file, read for each request: an agent keeps it fresh.
    File(PathBuf),
}

impl VaultToken {
    /// The token as it is now.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self) -> std::io::Result<SecretString> {
        match self {
            Self::Text(token) => Ok(token.clone()),
            Self::File(file) => Ok(std::fs::read_to_string(file)?.trim().to_owned().into()),
        }
    }
}

impl MasterKeys {
    /// Reads the configuration from the environment.
    ///
    /// # Errors
    /// Names the first variable that is missing or can't be used.
    pub fn from_env() -> Result<Self, Error> {
        Self::read(&crate::settings::variable)
    }

    pub(crate) fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let transit = get("CLP_VAULT_ADDR").map(|address| transit(get, address)).transpose()?;
        let provider = match get("CLP_MASTER_KEY_PROVIDER").as_deref() {
            None => None,
            Some("local") => Some(Provider::Local),
            Some("vault") => Some(Provider::Vault),
            Some(_) => {
                let reason = "it is neither `local` nor `vault`".to_owned();
                return Err(Error::Unusable { name: "CLP_MASTER_KEY_PROVIDER".to_owned(), reason });
            }
        };
        let local = transit.is_none() || provider == Some(Provider::Local);
        let current =
            if local { Some(secret(get, "CLP_MASTER_KEY", HELP)?) } else { optional_secret(get, "CLP_MASTER_KEY")? };
        if provider == Some(Provider::Vault) && transit.is_none() {
            return Err(missing("CLP_VAULT_ADDR", "the address of the Vault that holds the master key"));
        }
        let old = optional_secret(get, "CLP_MASTER_KEYS_OLD")?.map(|texts| several(&texts)).unwrap_or_default();
        Ok(Self { current, old, transit, provider })
    }

    /// Whether Vault wraps, and not this process.
    #[must_use]
    pub const fn wraps_in_vault(&self) -> bool {
        self.transit.is_some() && !matches!(self.provider, Some(Provider::Local))
    }
}

/// Keys with commas or white space between them.
fn several(texts: &SecretString) -> Vec<SecretString> {
    let texts = texts.expose_secret().split(|letter: char| letter == ',' || letter.is_whitespace());
    texts.filter(|text| !text.is_empty()).map(|text| text.to_owned().into()).collect()
}

fn transit(get: &dyn Fn(&str) -> Option<String>, address: String) -> Result<Transit, Error> {
    let token = match (get("CLP_VAULT_TOKEN"), get("CLP_VAULT_TOKEN_FILE")) {
        (Some(token), _) => VaultToken::Text(token.into()),
        (None, Some(file)) => VaultToken::File(file.into()),
        (None, None) => return Err(missing("CLP_VAULT_TOKEN", "the token with which Vault lets its key be used")),
    };
    Ok(Transit {
        address,
        mount: get("CLP_VAULT_TRANSIT_MOUNT").unwrap_or_else(|| "transit".to_owned()),
        key: get("CLP_VAULT_TRANSIT_KEY")
            .ok_or_else(|| missing("CLP_VAULT_TRANSIT_KEY", "the name of the master key in Vault"))?,
        namespace: get("CLP_VAULT_NAMESPACE"),
        token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<MasterKeys, Error> {
        MasterKeys::read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const VAULT: [(&str, &str); 3] =
        [("CLP_VAULT_ADDR", "http://vault"), ("CLP_VAULT_TOKEN", "hidden"), ("CLP_VAULT_TRANSIT_KEY", "clp")];

    #[test]
    fn vault_wraps_where_it_is_named_and_a_local_key_then_only_unwraps() {
        assert!(read(&VAULT).unwrap().wraps_in_vault());
        let both = [VAULT[0], VAULT[1], VAULT[2], ("CLP_MASTER_KEY", "key")];
        assert!(read(&both).unwrap().wraps_in_vault() && read(&both).unwrap().current.is_some());
        let back = [both.as_slice(), &[("CLP_MASTER_KEY_PROVIDER", "local")]].concat();
        assert!(!read(&back).unwrap().wraps_in_vault());
        assert!(!format!("{:?}", read(&both).unwrap()).contains("hidden"));
    }

    #[test]
    fn what_is_missing_for_a_provider_is_named() {
        let missing = |pairs: &[(&str, &str)]| read(pairs).unwrap_err().to_string();
        assert!(missing(&[]).starts_with("CLP_MASTER_KEY is not set"));
        assert!(missing(&VAULT[..2]).starts_with("CLP_VAULT_TRANSIT_KEY is not set"));
        assert!(missing(&[VAULT[0], VAULT[2]]).starts_with("CLP_VAULT_TOKEN is not set"));
        let no_address = [("CLP_MASTER_KEY", "key"), ("CLP_MASTER_KEY_PROVIDER", "vault")];
        assert!(missing(&no_address).starts_with("CLP_VAULT_ADDR is not set"));
        assert!(missing(&[("CLP_MASTER_KEY_PROVIDER", "kms")]).contains("neither `local` nor `vault`"));
    }

    #[test]
    fn old_keys_stand_beside_each_other_and_a_token_s_file_is_read_each_time() {
        let keys = read(&[("CLP_MASTER_KEY", "new"), ("CLP_MASTER_KEYS_OLD", "a,b\n c ")]).unwrap();
        assert_eq!(keys.old.len(), 3);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let token = VaultToken::File(file.clone());
        assert!(token.read().is_err());
        for text in ["one\n", "two\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(token.read().unwrap().expose_secret(), text.trim());
        }
    }
}
