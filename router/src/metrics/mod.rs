//! Metrics over HTTP: `GET /metrics` in OpenMetrics text, `GET /healthz`.

mod collector;
mod http;
#[cfg(test)]
mod tests;

pub(crate) use self::http::serve;
