//! From "up from here on" to "depends on the base alone".
//!
//! VP9 (RFC 9628 section 4.2, U) and AV1 (dependency descriptor, switch indications) say of a frame that those behind it need no
//! higher layer from before it. Frame marking (RFC 9626 section 3.1, B) says of a frame of a higher layer that it needs
//! nothing but the base. The one follows from the other for the first picture of a higher layer that comes right behind such a
//! base picture; those after it may need that first one.

/// What is known of the picture that a packet belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// The picture's running number, or that of one of its layers.
    pub(super) number: u16,
    /// The number before 0.
    pub(super) last_number: u16,
    /// Whether each spatial layer has a number of its own.
    pub(super) numbered_by_layer: bool,
    pub(super) spatial_id: u8,
    pub(super) temporal_id: u8,
    /// Numbers may begin anew here.
    pub(super) is_key_frame: bool,
    /// Later pictures of higher temporal layers need none of theirs from before this one.
    pub(super) switches_up: bool,
}

/// The newest picture of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SyncRun {
    newest: Option<Newest>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u16,
    spatial_id: u8,
    is_base: bool,
    /// Of the base: it switches up in all its spatial layers. Of others: it depends on the base alone.
    is_open: bool,
}

impl SyncRun {
    /// Whether the picture of a packet is of a higher temporal layer and depends on the base alone, as far as one can know.
    pub(super) fn is_base_sync(&mut self, picture: Picture) -> bool {
        let is_base = picture.temporal_id == 0;
        let is_open = match self.newest.filter(|_| !picture.is_key_frame) {
            None => is_base && picture.switches_up,
            Some(newest) => {
                let step = picture.number.wrapping_sub(newest.number) & picture.last_number;
                if step > picture.last_number / 2 {
                    return false;
                }
                let is_next_layer = step == 1
                    && picture.numbered_by_layer
                    && picture.spatial_id > newest.spatial_id
                    && is_base == newest.is_base;
                match (is_base, step == 0 || is_next_layer) {
                    (true, true) => newest.is_open && picture.switches_up,
                    (true, false) => picture.switches_up,
                    (false, true) => newest.is_open && !newest.is_base,
                    (false, false) => newest.is_open && newest.is_base && step == 1,
                }
            }
        };
        let Picture { number, spatial_id, .. } = picture;
        self.newest = Some(Newest { number, spatial_id, is_base, is_open });
        is_open && !is_base
    }
}
