//! The master key: wraps data keys. One wraps; any that this process was given unwraps, so that it can be exchanged.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runtime::MasterKeys;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::{KEY_BYTES, Key};
use crate::transit::Transit;

/// Bytes of a local key's hash that name it.
const NAME_BYTES: usize = 6;

/// A wrapped key and the name of the master key that wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The name: a few digits of a local key's hash, or where it is in Vault and its version there.
    pub master: String,
    /// The wrapped key.
    pub bytes: Vec<u8>,
}

/// The master keys that a process was given.
#[derive(Debug)]
pub struct Master {
    local: Vec<Local>,
    transit: Option<Transit>,
    wraps_in_vault: bool,
}

/// A key that this process holds itself.
struct Local {
    name: String,
    key: Key,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Local {
    fn new(text: &SecretString) -> Result<Self> {
        let bytes = STANDARD.decode(text.expose_secret().trim()).map(Zeroizing::new).map_err(|_| Error::MasterKey)?;
        let key = Key::from_bytes(&bytes).ok_or(Error::MasterKey)?;
        let hash = Sha256::new().chain_update("clp master key").chain_update(key.expose()).finalize();
        Ok(Self { name: format!("local:{}", hex::encode(&hash[..NAME_BYTES])), key })
    }
}

impl Master {
    /// The keys of the configuration.
    ///
    /// # Errors
    /// [`Error::MasterKey`] when one is none; [`Error::NoMaster`] when none can wrap; [`Error::Transit`] when the way to
    /// Vault can't be used.
    pub fn new(settings: &MasterKeys) -> Result<Self> {
        let MasterKeys { current, old, transit, provider: _ } = settings;
        if current.is_none() && transit.is_none() {
            return Err(Error::NoMaster);
        }
        let local = current.iter().chain(old).map(Local::new).collect::<Result<_>>()?;
        let transit = transit.as_ref().map(Transit::new).transpose()?;
        // A key in Vault is the one that wraps, unless it was only given to unwrap.
        let wraps_in_vault = settings.wraps_in_vault();
        Ok(Self { local, transit, wraps_in_vault })
    }

    /// The name of the key that wraps now.
    ///
    /// # Errors
    /// [`Error::Transit`]: Vault says which version of its key is the newest.
    pub async fn name(&self) -> Result<String> {
        match (&self.transit, self.local.first()) {
            (Some(transit), _) if self.wraps_in_vault => {
                Ok(transit.encrypt("clp probe", &[0; KEY_BYTES]).await?.master)
            }
            (_, Some(local)) => Ok(local.name.clone()),
            (_, None) => Err(Error::NoMaster),
        }
    }

    /// Wraps a key; `bound` says whose it is.
    pub(crate) async fn wrap(&self, bound: &str, key: &Key) -> Result<Wrapped> {
        match (&self.transit, self.local.first()) {
            (Some(transit), _) if self.wraps_in_vault => Ok(transit.encrypt(bound, key.expose()).await?),
            (_, Some(local)) => {
                let bytes = local.key.encrypt(bound, key.expose()).ok_or(Error::Seal)?;
                Ok(Wrapped { master: local.name.clone(), bytes })
            }
            (_, None) => Err(Error::NoMaster),
        }
    }

    /// Unwraps a key that was wrapped for the same owner.
    pub(crate) async fn unwrap(&self, bound: &str, version: u32, wrapped: &Wrapped) -> Result<Key> {
        let Wrapped { master, bytes } = wrapped;
        let clear = if let Some(local) = self.local.iter().find(|local| local.name == *master) {
            local.key.decrypt(bound, bytes).ok_or(Error::Unwrap { version })?
        } else if let Some(transit) = self.transit.as_ref().filter(|transit| transit.wrapped(master)) {
            transit.decrypt(bound, bytes).await?
        } else {
            return Err(Error::UnknownMaster { master: master.clone() });
        };
        Key::from_bytes(&clear).ok_or(Error::Unwrap { version })
    }

    /// Opens a secret that was sealed with a master key itself, before there were data keys.
    pub(crate) fn open_first_form(&self, bound: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let opened = self.local.iter().find_map(|local| local.key.decrypt(bound, sealed));
        opened.ok_or(Error::OpenFirstForm)
    }
}
