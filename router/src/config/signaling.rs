//! Which signaling daemons the router serves.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{ConfigError, ControlToken, wrong};

/// Signaling daemons that a router serves: each has a stream of its own, and is told of every session that ends.
pub const MAX_SIGNALING_DAEMONS: usize = 16;

/// The signaling daemons that the router serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalingConfig {
    /// Their gRPC endpoints, 1 to [`MAX_SIGNALING_DAEMONS`], each `http://host:port` of one daemon: behind a name that stands for
    /// several, two streams could meet at one daemon, which keeps the later. In a file `url = "…"` is enough for one.
    #[serde(alias = "url", deserialize_with = "one_or_several")]
    pub urls: Vec<String>,
    /// The secret that admits routers.
    #[serde(default)]
    pub token: ControlToken,
}

impl SignalingConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.urls.is_empty() || self.urls.len() > MAX_SIGNALING_DAEMONS {
            return Err(wrong("signaling.urls", format!("must be 1 to {MAX_SIGNALING_DAEMONS}")));
        }
        let mut seen = BTreeSet::new();
        for url in &self.urls {
            check_url(url)?;
            if !seen.insert(url.trim_end_matches('/')) {
                return Err(wrong("signaling.urls", "must name each daemon once"));
            }
        }
        Ok(())
    }
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a URL or several")]
    enum Urls {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Urls::deserialize(deserializer)? {
        Urls::One(url) => vec![url],
        Urls::Several(urls) => urls,
    })
}

fn check_url(url: &str) -> Result<(), ConfigError> {
    if url.starts_with("https://") {
        let problem = "must be http://: put a tunnel or a private network below it, since it carries keys";
        return Err(wrong("signaling.urls", problem));
    }
    let authority = url.strip_prefix("http://").unwrap_or_default();
    if authority.is_empty() || tonic::transport::Endpoint::from_shared(url.to_owned()).is_err() {
        return Err(wrong("signaling.urls", "must be http://host:port"));
    }
    Ok(())
}
