//! Requests to addresses that an organisation chose: never to this deployment's own network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::problem::BoxedError;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MOST_BYTES: usize = 1024 * 1024;

/// Why an address was not asked, or did not answer well. Says nothing that came back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is within a private network, or not through TLS.
    #[error("the address is not a public one, reached through TLS")]
    Private,
    /// The answer is longer than any that is expected.
    #[error("the answer is too long")]
    TooLong,
    /// It could not be reached.
    #[error("the address can't be reached")]
    Unreachable(#[source] reqwest::Error),
}

/// A client that follows no redirects and keeps out of private networks.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    private: bool,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("private", &self.private).finish_non_exhaustive()
    }
}

impl Outbound {
    /// `private` allows private addresses and plain HTTP.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(private: bool) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder().redirect(Policy::none()).timeout(LIMIT).no_proxy();
        let builder = if private { builder } else { builder.dns_resolver(PublicOnly) };
        Ok(Self { client: builder.build()?, private })
    }

    /// Whether an address may be asked, as far as its text tells; the resolver tells the rest.
    #[must_use]
    pub fn may_ask(&self, url: &Url) -> bool {
        let public = match url.host() {
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        let http = if self.private { ["https", "http"].contains(&url.scheme()) } else { url.scheme() == "https" };
        http && (public || self.private)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(
        &self,
        request: reqwest::Request,
    ) -> Result<(reqwest::StatusCode, reqwest::header::HeaderMap, Vec<u8>), Error> {
        if !self.may_ask(request.url()) {
            return Err(Error::Private);
        }
        let unreachable = |error: reqwest::Error| Error::Unreachable(error.without_url());
        let mut answer = self.client.execute(request).await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                return Err(Error::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, headers, bytes))
    }
}

/// Resolves names to public addresses only: what a name resolves to is what is connected to.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(BoxedError::from(Error::Private));
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of the public internet: not of the special purposes of RFC 6890 that lead to machines nearby.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special = (a == 192 && b == 0 && c == 0) || (a == 198 && (18..20).contains(&b)) || a == 0 || a >= 240;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || special)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3; within it, documentation, and ways to IPv4 addresses that are not looked into.
    let [first, second, ..] = address.segments();
    (first & 0xe000) == 0x2000 && first != 0x2002 && !(first == 0x2001 && (second == 0 || second == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_nearby_are_not_asked() {
        let outbound = Outbound::new(false).unwrap();
        let nearby = [
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[2002:0a00:0001::1]/",
            "http://id.example/",
            "ftp://id.example/",
        ];
        for url in nearby {
            assert!(!outbound.may_ask(&url.parse().unwrap()), "{url}");
        }
        for url in ["https://id.example/", "https://93.184.216.34/", "https://[2606:2800:220:1::1]/"] {
            assert!(outbound.may_ask(&url.parse().unwrap()), "{url}");
        }
        assert!(Outbound::new(true).unwrap().may_ask(&"http://127.0.0.1:9/".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_of_an_address_nearby_is_not_asked_either() {
        let request = reqwest::Request::new(reqwest::Method::GET, "https://localhost/".parse().unwrap());
        let refused = Outbound::new(false).unwrap().send(request).await.unwrap_err();
        assert!(matches!(refused, Error::Unreachable(error) if error.is_connect()));
    }
}
