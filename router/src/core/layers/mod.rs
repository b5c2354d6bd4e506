//! Layers: which of them flow on a slot, which should, and what each costs.

mod rates;
mod selection;
#[cfg(test)]
mod tests;

pub(crate) use self::rates::LayerRates;
pub(crate) use self::selection::{Admission, Selection};

/// A choice of layers within one track: everything of `encoding` up to and including the two layer ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The encoding's position within its track: simulcast.
    pub(crate) encoding: u8,
    /// The highest spatial layer within the encoding: SVC. 0 where there is one only.
    pub(crate) spatial: u8,
    /// The highest temporal layer.
    pub(crate) temporal: u8,
}

impl Layers {
    /// All of an encoding, whatever layers it has.
    pub(crate) const fn whole(encoding: u8) -> Self {
        Self { encoding, spatial: u8::MAX, temporal: u8::MAX }
    }
}
