//! The reference native client: a sans-IO session core and a tokio driver.

pub mod media;
