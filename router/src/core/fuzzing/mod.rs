//! Bodies of the fuzz targets, shared by the targets and the unit tests.

mod model;
mod oracle;

pub use self::model::rewriter;
