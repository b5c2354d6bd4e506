//! The delay-based detector: does the queue of the path grow?

mod detector;
mod groups;
mod threshold;
mod trendline;

pub use detector::{OveruseDetector, Usage};
pub use groups::{ArrivalGroups, GroupDelta};
pub use threshold::AdaptiveThreshold;
pub use trendline::{TRENDLINE_WINDOW, Trendline};
