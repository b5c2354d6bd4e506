//! Which web pages may open a WebSocket here.

use std::sync::Arc;

use axum::http::HeaderValue;

/// Origins (RFC 6454 section 6.1) of pages that may connect. A browser names a page's origin, and no page can forge it; so this
/// keeps a page from using what its visitor's browser knows. Clients that are no browsers name none, and always may.
#[derive(Clone, Debug, Default)]
pub struct Origins(Option<Arc<[String]>>);

impl Origins {
    /// These origins only, such as `https://meet.example`; every one if none is named.
    #[must_use]
    pub fn only(origins: &[String]) -> Self {
        let origins = origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
        Self((origins.len() > 0).then(|| origins.collect()))
    }

    /// Whether a request with this header may go on.
    #[must_use]
    pub fn allow(&self, origin: Option<&HeaderValue>) -> bool {
        let (Some(allowed), Some(origin)) = (&self.0, origin) else { return true };
        let origin = origin.to_str().unwrap_or_default();
        allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_kept_out_and_programs_are_not() {
        let header = HeaderValue::from_static;
        let all = Origins::default();
        assert!(all.allow(None) && all.allow(Some(&header("https://evil.example"))));
        let ours = Origins::only(&["https://Meet.example/".to_owned()]);
        assert!(ours.allow(None) && ours.allow(Some(&header("https://meet.example"))));
        for other in
            ["http://meet.example", "https://meet.example:8443", "https://meet.example.evil", "null", ""]
        {
            assert!(!ours.allow(Some(&header(other))), "{other}");
        }
        assert!(!ours.allow(Some(&HeaderValue::from_bytes(&[0xFF]).unwrap())));
    }
}
