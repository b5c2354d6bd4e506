//! The decision about each packet that comes for a slot.

use sluice_wire::ext::FrameMarking;

use super::Layers;
use crate::core::ids::TrackKey;

/// How long after a change of layers packets from before it are told apart: as long as anything is worth waiting for. RTP ticks
/// of video, half a second.
const CHANGE_TICKS: u32 = 45_000;

/// What to do with a packet for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// `ends_picture`: the last packet that the slot gets of its picture, so its marker bit must be set.
    Forward { ends_picture: bool },
    /// Forward, as the first packet of another encoding. `leaves` is what the slot gives up.
    Switch { leaves: Option<Layers>, ends_picture: bool },
    /// Of the encoding that flows, but of a layer that does not: the slot's numbers close over it.
    Skip,
    /// Not of the encoding that flows.
    Ignore,
}

/// The layers that a slot shows and those that it should show.
///
/// * Another encoding begins at the first packet of an independent frame of it; until then the old one flows.
/// * A temporal layer begins at a frame of it that needs the base layer only, one layer at a time; all begin with an independent
///   picture.
/// * A spatial layer begins with an independent picture, or at a frame of it that needs only the layers below in its own
///   picture, provided that the picture is of temporal layer 0.
/// * Layers end at the next picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    pub(crate) track: TrackKey,
    current: Option<Layers>,
    target: Layers,
    /// Temporal layers of the current encoding end at once while another encoding is waited for.
    sheds: bool,
    /// What flows is what should, and did so for a while.
    is_settled: bool,
    /// The picture under way while something changes: its timestamp.
    picture: Option<u32>,
    /// The picture under way was ended for the receiver: no layer may be added to it.
    is_closed: bool,
    /// The picture under way has a spatial layer above those that flow.
    has_higher: bool,
    /// So had the one before it.
    had_higher: bool,
    /// The picture of the last change, and what flowed before it.
    change: Option<(u32, Layers)>,
}

impl Selection {
    /// A slot that is to show `target` of `track` and shows nothing yet.
    pub(crate) const fn new(track: TrackKey, target: Layers) -> Self {
        Self {
            track,
            current: None,
            target,
            sheds: false,
            is_settled: false,
            picture: None,
            is_closed: false,
            has_higher: true,
            had_higher: true,
            change: None,
        }
    }

    /// What flows now.
    pub(crate) const fn current(&self) -> Option<Layers> {
        self.current
    }

    /// What is to flow.
    pub(crate) const fn target(&self) -> Layers {
        self.target
    }

    /// Changes what is to flow. With `sheds` the temporal layers above the base end at once if another encoding must be waited
    /// for: that is for a budget that shrank.
    pub(crate) fn retarget(&mut self, target: Layers, sheds: bool) {
        if (self.target, self.sheds) == (target, sheds) {
            return;
        }
        self.target = target;
        self.sheds = sheds;
        if std::mem::replace(&mut self.is_settled, false) {
            self.picture = None;
            self.change = None;
            // Unless the contrary is seen.
            self.has_higher = true;
            self.had_higher = true;
        }
    }

    /// Whether a key frame of the target encoding is needed before all that should flow can.
    pub(crate) fn is_waiting(&self) -> bool {
        self.current.is_none_or(|current| {
            current.encoding != self.target.encoding || current.spatial < self.target.spatial
        })
    }

    /// Judges a packet of `encoding` of the selected track; a change of what flows counts as made.
    #[inline]
    pub(crate) fn admit(&mut self, encoding: u8, marking: FrameMarking, timestamp: u32) -> Admission {
        match self.current {
            Some(current) if current.encoding == encoding => {
                if self.is_settled {
                    return judge(current, marking);
                }
                self.admit_while_changing(current, marking, timestamp)
            }
            _ if encoding == self.target.encoding && begins_anew(marking) => self.begin(marking),
            _ => Admission::Ignore,
        }
    }

    /// Judges a packet of the encoding that flows from before the newest that was judged: it begins nothing and ends nothing, for
    /// what stands beside it in its picture was judged already.
    #[cold]
    pub(crate) fn admit_late(&self, encoding: u8, marking: FrameMarking, timestamp: u32) -> Admission {
        let Some(current) = self.current.filter(|current| current.encoding == encoding) else {
            return Admission::Ignore;
        };
        match self.change {
            Some((at, before)) if is_later(at, timestamp) => judge(before, marking),
            _ => judge(current, marking),
        }
    }

    /// Goes over to the target's encoding.
    fn begin(&mut self, marking: FrameMarking) -> Admission {
        let leaves = self.current.replace(self.target);
        self.is_settled = true;
        self.change = None;
        Admission::Switch { leaves, ends_picture: marking.end && marking.layer_id == self.target.spatial }
    }

    #[cold]
    fn admit_while_changing(&mut self, current: Layers, marking: FrameMarking, timestamp: u32) -> Admission {
        if let Some((at, before)) = self.change
            && is_later(at, timestamp)
        {
            return judge(before, marking);
        }
        let is_new = self.turn_picture(marking, timestamp);
        let goal = self.goal(current);
        let limits = self.changed(current, goal, marking, is_new);
        if limits != current {
            if self.change.is_none_or(|(at, _)| at != timestamp) {
                self.change = Some((timestamp, current));
            }
            self.current = Some(limits);
        }
        let has_passed = |(at, _): (u32, Layers)| timestamp.wrapping_sub(at) > CHANGE_TICKS;
        self.is_settled = is_new && limits == self.target && self.change.is_none_or(has_passed);
        self.mark(judge(limits, marking), limits, goal, marking)
    }

    /// Notes the picture that a packet belongs to; whether it is a new one. Of the first one that is seen only its first
    /// packet says so.
    fn turn_picture(&mut self, marking: FrameMarking, timestamp: u32) -> bool {
        let is_new = match self.picture {
            None => marking.start && marking.layer_id == 0,
            Some(before) => is_later(timestamp, before),
        };
        if is_new {
            self.is_closed = false;
            self.had_higher = self.has_higher;
            self.has_higher = false;
        }
        if is_new || self.picture.is_none() {
            self.picture = Some(timestamp);
        }
        is_new
    }

    /// What should flow of the current encoding.
    fn goal(&self, current: Layers) -> Layers {
        if self.target.encoding == current.encoding {
            return self.target;
        }
        Layers { temporal: if self.sheds { 0 } else { current.temporal }, ..current }
    }

    /// What flows from this packet on.
    fn changed(&self, current: Layers, goal: Layers, marking: FrameMarking, is_new: bool) -> Layers {
        let mut limits = current;
        if is_new && begins_anew(marking) {
            return goal;
        }
        if is_new {
            limits.spatial = limits.spatial.min(goal.spatial);
            limits.temporal = limits.temporal.min(goal.temporal);
        }
        let (temporal, spatial) = (marking.temporal_id, marking.layer_id);
        // Not in the middle of a picture of which something was left out: a reordered first packet is no beginning.
        let begins_temporal = is_new && marking.start && spatial == 0 && marking.base_sync;
        if begins_temporal && temporal <= goal.temporal && temporal == limits.temporal.saturating_add(1) {
            limits.temporal = temporal;
        }
        let begins_spatial =
            marking.start && marking.independent && temporal == 0 && !self.is_closed && !self.has_higher;
        if begins_spatial && spatial <= goal.spatial && spatial == limits.spatial.saturating_add(1) {
            limits.spatial = spatial;
        }
        limits
    }

    /// Whether the receiver's picture ends here, now that more layers may be on their way.
    fn mark(
        &mut self,
        admission: Admission,
        limits: Layers,
        goal: Layers,
        marking: FrameMarking,
    ) -> Admission {
        match admission {
            Admission::Forward { ends_picture: true } => {
                // A higher layer that the sender did not send before may begin in this very picture.
                let may_go_on = limits.spatial < goal.spatial && !self.had_higher;
                self.is_closed |= !may_go_on;
                Admission::Forward { ends_picture: !may_go_on }
            }
            Admission::Skip => {
                self.has_higher |= marking.layer_id > limits.spatial;
                Admission::Skip
            }
            other => other,
        }
    }
}

/// By layers alone.
#[inline]
const fn judge(limits: Layers, marking: FrameMarking) -> Admission {
    if marking.temporal_id <= limits.temporal && marking.layer_id <= limits.spatial {
        Admission::Forward { ends_picture: marking.end && marking.layer_id == limits.spatial }
    } else {
        Admission::Skip
    }
}

/// Whether a receiver that has nothing may begin with this packet.
const fn begins_anew(marking: FrameMarking) -> bool {
    marking.start && marking.independent && marking.layer_id == 0
}

/// Whether RTP timestamp `a` is later than `b`.
const fn is_later(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}
